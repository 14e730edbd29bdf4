"""Who calls, where many share one server: what proves it, what each may do, and who pays."""
