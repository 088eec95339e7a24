"""How what somebody begins to type may go on."""
