"""Makes pages of docs/ from the code: `make reference`. The hooks of its site."""
