"""The process that owns the broker connection: it sends what is signed, books what happens, and reacts only to reduce risk."""
