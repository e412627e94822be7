-- now: the server's clock, in seconds.

return string.format('%.17g', now)
