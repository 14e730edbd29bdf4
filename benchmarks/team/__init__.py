"""What several servers of one PostgreSQL ledger stand: kills, exact budgets, a store that goes away."""
