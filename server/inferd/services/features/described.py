"""What is declared, as messages."""

from inferd.features.declaration import Entity, Feature
from inferd.features.definitions import US, Definitions, View
from inferd.features.derivation import Event
from inferd.services.features.values import fill
from inferd.v1 import features_pb2 as pb


def described(definitions: Definitions, view: str) -> pb.DescribeFeaturesResponse:
    """Return all that is declared, or the view of that name, its entity and its events.

    Raises `InvalidRequest` where there is none.
    """
    views = [*definitions.views.values()]
    entities = [*definitions.entities.values()]
    events = [*definitions.events.values()]
    if view:
        views = [definitions.view(view, field="view")]
        entities = [views[0].entity]
        events = [each for each in events if each.name in (views[0].declared.events or ())]
    return pb.DescribeFeaturesResponse(
        entities=[_entity(each) for each in entities],
        views=[_view(each) for each in views],
        events=[_event(each) for each in events],
    )


def _entity(entity: Entity) -> pb.FeatureEntity:
    return pb.FeatureEntity(name=entity.name, id_type=entity.id, description=entity.description)


def _event(event: Event) -> pb.FeatureEventKind:
    return pb.FeatureEventKind(
        name=event.name,
        description=event.description,
        fields=[
            pb.FeatureEventKind.Field(name=each.name, type=str(each.type), required=each.required)
            for each in event.fields
        ],
    )


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
        kind=view.kind,
        events=view.declared.events or (),
        cache_ttl_s=view.declared.cache_ttl_s,
        request={each.name: str(each.type) for each in view.declared.request},
    )


def _feature(feature: Feature) -> pb.FeatureDeclaration:
    declaration = pb.FeatureDeclaration(
        name=feature.name,
        type=str(feature.type),
        required=feature.required,
        description=feature.description,
        origin=feature.origin,
    )
    if feature.default is not None:
        fill(declaration.default, feature.type, feature.default)
    return declaration
