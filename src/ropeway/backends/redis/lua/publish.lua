-- publish: take in messages, each by itself, and answer for each. What `commit` does with them.
--
-- uses: jobs lanes sending
-- ARGV: of each message its id, itself, and what of it is static.
-- Reply: for each 0 (applied), 1 (repeated), or {2, reason, key, version} (refused).

local messages, ids = {}, {}
for n = 1, #ARGV / 3 do
  messages[n] = take_message()
  ids[n] = messages[n].id
end
at_once = #messages
read_ahead(ids)
for n, each in ipairs(messages) do answers[n] = apply_message(each) end
write_all()
tell()
return answers
