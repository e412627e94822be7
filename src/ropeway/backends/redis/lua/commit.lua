-- commit: apply transitions in order, each whole or not at all, and answer for each.
--
-- uses: jobs lanes limits ends sending settling (transitions)

finish_up()
return answers
