-- touch: a change that leaves nothing behind, and a hint that nobody waits for.

call('SET', tag .. ':touch', '')
call('DEL', tag .. ':touch')
call('SPUBLISH', tag .. ':touch', '')
return 1
