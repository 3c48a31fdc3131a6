"""The verbs, each made of the parts below: resolve, build, fetch, estimate, submit."""
