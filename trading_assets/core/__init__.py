"""Words that every room uses: time, money, tables, errors, settings and the shared ports."""
