"""What a person may look up in a conversation: read-only tools with bounded answers, and the guide that uses them."""
