"""An OpenAPI document read as data: schemas, operations, checks. Pure."""
