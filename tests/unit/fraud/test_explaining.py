"""What inputs added to scores, in the order in which it matters."""

from inferd.services.fraud.explaining import in_order_of_weight
from inferd.v1 import fraud_pb2 as pb


def test_inputs_are_compared_within_a_model_and_models_by_what_the_decision_made_of_them() -> None:
    told = [
        pb.FeatureContribution(model=model, feature=feature, contribution=contribution)
        for model, feature, contribution in (
            ("unusual", "a", 9.0),
            ("trees", "a", 0.1),
            ("trees", "b", -0.5),
            ("unusual", "b", -8.0),
        )
    ]

    ordered = in_order_of_weight(told, {"trees": 0.8, "unusual": 0.2})

    assert [(it.model, it.feature) for it in ordered] == [
        ("trees", "b"),
        ("trees", "a"),
        ("unusual", "a"),
        ("unusual", "b"),
    ]
