"""A Gateway of Interactive Brokers on this machine: the text protocol at server version 176, for an unmodified client.

`wire` frames messages, `gateway` holds the connections and the start-up handshake, `history` answers for historical bars. Further
messages are added as modules with a table of handlers; `LoopbackGateway` takes the tables that it is given.

`trading` is a Gateway that trades: its truth is `book`, its answers in `orders`, `account` and `market`, its layouts in `placed`
and `messages`, its faults in `faults`. `serve` runs it as a process, which outlives the desk, and `process` starts it for a test.
"""
