"""The console: shows what the stack does, on a page, as JSON, as metrics and in a terminal. It only reads, but for the restart
button and the events that it keeps on `stack-events`."""
