"""The documentation site: `make docs` writes its pages, builds them, and checks what was built."""
