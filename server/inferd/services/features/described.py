"""What is declared, as messages."""

from inferd.features.declaration import Entity, Feature
from inferd.features.definitions import US, Definitions, View
from inferd.services.features.values import fill
from inferd.v1 import features_pb2 as pb


def described(definitions: Definitions, view: str) -> pb.DescribeFeaturesResponse:
    """Return all that is declared, or the view of that name and its entity.

    Raises `InvalidRequest` where there is none.
    """
    views = [*definitions.views.values()]
    entities = [*definitions.entities.values()]
    if view:
        views = [definitions.view(view, field="view")]
        entities = [views[0].entity]
    return pb.DescribeFeaturesResponse(
        entities=[_entity(each) for each in entities], views=[_view(each) for each in views]
    )


def _entity(entity: Entity) -> pb.FeatureEntity:
    return pb.FeatureEntity(name=entity.name, id_type=entity.id, description=entity.description)


def _view(view: View) -> pb.FeatureView:
    return pb.FeatureView(
        name=view.name,
        entity=view.entity.name,
        owner=view.owner,
        version=view.version,
        description=view.description,
        ttl_s=None if view.ttl_us is None else view.ttl_us / US,
        max_age_s=None if view.max_age_us is None else view.max_age_us / US,
        features=[_feature(each) for each in view.features],
    )


def _feature(feature: Feature) -> pb.FeatureDeclaration:
    declaration = pb.FeatureDeclaration(
        name=feature.name,
        type=str(feature.type),
        required=feature.required,
        description=feature.description,
    )
    if feature.default is not None:
        fill(declaration.default, feature.type, feature.default)
    return declaration
