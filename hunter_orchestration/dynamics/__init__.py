"""The CRM: client, preflight, mapping file, plan, push, pull, reconcile."""
