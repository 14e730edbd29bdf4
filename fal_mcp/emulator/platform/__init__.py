"""fal's Platform API: an account with its usage, apps, machines, keys, workflows and assets."""
