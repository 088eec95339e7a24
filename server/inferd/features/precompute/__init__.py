"""Computing what will be asked for before it is: which keys are hot, and what that may take."""
