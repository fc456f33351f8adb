"""The HTTP API and the server of the mini UI; starts Dagster runs over GraphQL and follows them.

What belongs here: requests, answers, who may do what. What does not: business rules and SQL.
"""
