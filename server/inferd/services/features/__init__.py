"""`FeatureService`: what is known of entities, over the wire."""
