"""When something is due: timetables, and the instants that follow from them."""
