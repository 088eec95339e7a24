"""`FraudService`: is this payment what it seems to be."""
