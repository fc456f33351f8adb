"""Which company is it: domains, matching, links and merges by people, file imports."""
