-- claim: lease messages to a holder; or say in how many seconds there may be some.
--
-- uses: jobs lanes limits ends parts claiming

hand_over_all()
return handed_over()
