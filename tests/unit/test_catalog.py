"""The catalog: what can be ordered, what is refused and with which words, and the ready-made sites.

The first tests read the real data files; the later ones feed `build_catalog` and `build_templates` small data
with one mistake each.
"""

from __future__ import annotations

import copy
import uuid
from datetime import UTC
from typing import Any

import pytest

from app.catalog import (
    CONNECTORS,
    OCPP_VERSIONS,
    Catalog,
    CatalogInvalid,
    Model,
    build_catalog,
    build_templates,
    load_catalog,
    load_templates,
)
from app.errors import (
    BrandNotFound,
    InvalidOrder,
    ModelNotFound,
    UnknownBrand,
    UnknownModel,
    UnsupportedConnector,
    UnsupportedVersion,
)

BRAND: dict[str, Any] = {
    "slug": "acme",
    "name": "Acme",
    "image_url": None,
    "created_at": "2025-01-01T00:00:00Z",
}
MODEL: dict[str, Any] = {
    "brand": "acme",
    "slug": "post-22",
    "name": "Post 22",
    "image_url": None,
    "created_at": "2025-01-01T02:00:00+02:00",
    "current_type": "ac",
    "phases": 3,
    "connector_count": 2,
    "connector_types": ["Type2", "Schuko"],
    "supported_kwh": [3.7, 22],
    "max_power_w": 22000,
    "ocpp_versions": ["OCPP1.6"],
    "outlets": {"Schuko": {"max_power_w": 3700, "phases": 1}},
    "source": "Post 22 data sheet",
}
GROUP: dict[str, Any] = {
    "brand_slug": "acme",
    "model_slug": "post-22",
    "connector_type": "Type2",
    "ocpp_version": "OCPP1.6",
    "count": 2,
    "nominal_kw": 22,
}
TEMPLATE: dict[str, Any] = {
    "slug": "two-posts",
    "name": "Two posts",
    "country": "DE",
    "parking_type": "ON_STREET",
    "groups": [GROUP],
}


def all_models() -> list[Model]:
    catalog = load_catalog()
    return [model for brand in catalog.brands() for model in catalog.models(brand.slug)]


def acme(**changes: Any) -> Catalog:
    return build_catalog([BRAND], [{**copy.deepcopy(MODEL), **changes}])


def test_the_catalog_is_at_least_as_large_as_promised() -> None:
    assert len(load_catalog().brands()) >= 12
    assert len(all_models()) >= 36


def test_no_brand_is_empty() -> None:
    catalog = load_catalog()
    assert all(catalog.models(brand.slug) for brand in catalog.brands())


@pytest.mark.parametrize(
    "model", all_models(), ids=lambda model: f"{model.brand_slug}/{model.slug}"
)
def test_every_model_can_be_found_and_ordered_as_it_is_listed(model: Model) -> None:
    catalog = load_catalog()
    assert catalog.model(model.brand_slug, model.slug) is model
    assert model.source
    for connector in model.connector_types:
        for version in model.ocpp_versions:
            ordered = catalog.check_order(
                model.brand_slug, model.slug, connector, version, strict=True
            )
            assert ordered is model
        outlet = model.outlet(connector)
        assert 0 < outlet.max_power_w <= model.max_power_w
        assert outlet.current_type == (CONNECTORS[connector] or model.current_type)


def test_every_known_connector_and_version_is_built_into_some_model() -> None:
    models = all_models()
    assert {name for model in models for name in model.connector_types} == set(CONNECTORS)
    assert {name for model in models for name in model.ocpp_versions} == set(OCPP_VERSIONS)


def test_the_three_models_of_the_documented_examples_are_there() -> None:
    catalog = load_catalog()
    pulsar = catalog.model("wallbox", "wallbox-pulsar-plus")
    assert (pulsar.name, pulsar.current_type, pulsar.connector_types) == (
        "Pulsar Plus",
        "ac",
        ("Type2",),
    )
    assert pulsar.supported_kwh == (7.4, 22.0)
    evlink = catalog.model("schneider", "evlink-pro-ac-22kw")
    assert (evlink.connector_types, evlink.max_power_w) == (("Type2",), 22_000)
    terra = catalog.model("abb", "terra-184")
    assert (terra.connector_types, terra.connector_count) == (("CCS2", "CHAdeMO"), 2)
    assert (terra.current_type, terra.max_power_w) == ("dc", 180_000)


def test_ids_are_uuids_of_their_own_and_never_change() -> None:
    catalog = load_catalog()
    ids = [brand.id for brand in catalog.brands()] + [model.id for model in all_models()]
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(each).version for each in ids} == {5}
    abb = next(brand for brand in catalog.brands() if brand.slug == "abb")
    assert abb.id == "80775c8f-061d-5e60-99a1-3d829556aaed"
    terra = catalog.model("abb", "terra-184")
    assert (terra.id, terra.brand_id, terra.brand_name) == (
        "5c046a1a-6fbf-5e46-9c3d-cb462e6191ff",
        abb.id,
        "ABB",
    )


def test_times_are_utc() -> None:
    model = acme().model("acme", "post-22")
    assert model.created_at.tzinfo is UTC
    assert model.created_at.isoformat() == "2025-01-01T00:00:00+00:00"


def test_the_catalog_is_read_once() -> None:
    assert load_catalog() is load_catalog()


def test_looking_up_what_is_not_there_names_it() -> None:
    catalog = load_catalog()
    with pytest.raises(BrandNotFound, match="no brand 'nobody'"):
        catalog.models("nobody")
    with pytest.raises(BrandNotFound, match="no brand 'nobody'"):
        catalog.model("nobody", "terra-184")
    with pytest.raises(ModelNotFound, match="abb has no model 'terra-1'"):
        catalog.model("abb", "terra-1")


@pytest.mark.parametrize(
    ("order", "error", "allowed"),
    [
        (("nobody", "terra-184", "CCS2", "OCPP1.6"), UnknownBrand, ("wallbox", "schneider", "abb")),
        (("abb", "nothing", "CCS2", "OCPP1.6"), UnknownModel, ("terra-184", "terra-124")),
        (("abb", "terra-184", "Type2", "OCPP1.6"), UnsupportedConnector, ("CCS2, CHAdeMO",)),
        (("abb", "terra-184", "ccs2", "OCPP1.6"), UnsupportedConnector, ("CCS2, CHAdeMO",)),
        (("abb", "terra-184", "CCS2", "OCPP2.1"), UnsupportedVersion, ("OCPP1.6",)),
        (("abb", "terra-184", "CCS2", "OCPP2.0.1"), UnsupportedVersion, ("OCPP1.6",)),
    ],
)
def test_an_order_that_does_not_fit_is_told_what_would(
    order: tuple[str, str, str, str], error: type[InvalidOrder], allowed: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        load_catalog().check_order(*order, strict=True)
    after = caught.value.message.partition("Allowed: ")[2]
    assert all(value in after for value in allowed)


def test_a_huge_wrong_value_does_not_fill_the_answer() -> None:
    with pytest.raises(UnsupportedConnector) as caught:
        load_catalog().check_order("abb", "terra-184", "C" * 10_000, "OCPP1.6", strict=True)
    assert len(caught.value.message) < 200


def test_a_lenient_catalog_takes_any_known_connector_but_no_unknown_one() -> None:
    catalog = load_catalog()
    order = ("schneider", "evlink-pro-ac-22kw")
    with pytest.raises(UnsupportedConnector):
        catalog.check_order(*order, "CCS2", "OCPP1.6", strict=True)
    model = catalog.check_order(*order, "CCS2", "OCPP1.6", strict=False)
    assert model.outlet("CCS2").current_type == "dc"
    with pytest.raises(UnsupportedConnector, match="Allowed: Type1, Type2, CCS1"):
        catalog.check_order(*order, "Type3", "OCPP1.6", strict=False)
    with pytest.raises(UnsupportedVersion):
        catalog.check_order(*order, "CCS2", "OCPP2.0.1", strict=False)


def test_an_outlet_that_gives_less_than_its_station_says_so() -> None:
    model = acme().model("acme", "post-22")
    assert (model.outlet("Schuko").max_power_w, model.outlet("Schuko").phases) == (3_700, 1)
    assert (model.outlet("Type2").max_power_w, model.outlet("Type2").phases) == (22_000, 3)


def test_nacs_carries_the_current_of_its_model() -> None:
    catalog = load_catalog()
    assert catalog.model("wallbox", "wallbox-supernova-180").outlet("NACS").current_type == "dc"
    assert catalog.model("autel", "maxicharger-ac-elite-c50").outlet("NACS").current_type == "ac"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"brand": "nobody"}, "unknown brand 'nobody'"),
        ({"slug": "Post 22"}, "slug"),
        ({"name": " "}, "empty name"),
        ({"source": ""}, "empty source"),
        ({"current_type": "AC"}, "current_type"),
        ({"current_type": "dc"}, "no connector of its current_type"),
        ({"phases": 2}, "phases"),
        ({"phases": True}, "phases of the wrong type"),
        ({"connector_count": 0}, "no connector"),
        ({"connector_types": []}, "empty connector_types"),
        ({"connector_types": ["Type2", "Type9"]}, "Type9"),
        ({"connector_types": [["Type2"]]}, "connector_types outside"),
        ({"connector_types": ["Type2", "Type2"]}, "repeat"),
        ({"ocpp_versions": ["OCPP2.1"]}, "OCPP2.1"),
        ({"ocpp_versions": "OCPP1.6"}, "ocpp_versions of the wrong type"),
        ({"supported_kwh": [22, 3.7]}, "rising"),
        ({"supported_kwh": [0, 22]}, "rising"),
        ({"supported_kwh": [3.7, "22"]}, "rising"),
        ({"max_power_w": 11000}, "highest step"),
        ({"outlets": {"CCS2": {"max_power_w": 3700, "phases": 1}}}, "outlet 'CCS2'"),
        ({"outlets": {"Schuko": {"max_power_w": 99000, "phases": 1}}}, "outlet 'Schuko'"),
        ({"outlets": {"Schuko": {"phases": 1}}}, "no max_power_w"),
        ({"created_at": "yesterday"}, "not RFC 3339"),
        ({"created_at": "2025-01-01T00:00:00"}, "without an offset"),
        ({"colour": "red"}, "unknown field colour"),
    ],
)
def test_a_wrong_model_is_named_with_its_mistake(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CatalogInvalid) as caught:
        acme(**changes)
    assert words in caught.value.message
    assert changes.get("slug", "post-22") in caught.value.message


def test_all_mistakes_of_a_model_are_told_together() -> None:
    with pytest.raises(CatalogInvalid) as caught:
        acme(phases=2, connector_count=0, source="")
    assert all(
        words in caught.value.message for words in ("phases", "no connector", "empty source")
    )


def test_a_model_without_a_field_is_refused() -> None:
    entry = {key: value for key, value in MODEL.items() if key != "source"}
    with pytest.raises(CatalogInvalid, match="has no source"):
        build_catalog([BRAND], [entry])


@pytest.mark.parametrize(
    ("brands", "models", "words"),
    [
        ([BRAND, BRAND], [], "brand 'acme' is there twice"),
        ([BRAND], [MODEL, MODEL], "model 'post-22' of acme is there twice"),
        ([{**BRAND, "image_url": 7}], [], "image_url of the wrong type"),
        (["acme"], [], "not an object"),
        ({}, [], "must each be a list"),
    ],
)
def test_wrong_lists_are_refused(brands: Any, models: Any, words: str) -> None:
    with pytest.raises(CatalogInvalid, match=words):
        build_catalog(brands, models)


def test_there_are_templates_of_every_type_and_the_documented_ones() -> None:
    templates = {template.slug: template for template in load_templates()}
    assert len(templates) >= 10
    assert templates["urban-ac-hub"].type == "AC"
    assert templates["highway-dc-station"].type == "DC"
    single = templates["residential-ac-single"]
    assert (single.type, sum(group.count for group in single.groups)) == ("AC", 1)
    assert {template.type for template in templates.values()} == {"AC", "DC", "AC-DC"}


def test_every_group_of_every_template_can_be_ordered_from_a_strict_catalog() -> None:
    catalog = load_catalog()
    for template in load_templates():
        for group in template.groups:
            model = catalog.check_order(
                group.brand_slug,
                group.model_slug,
                group.connector_type,
                group.ocpp_version,
                strict=True,
            )
            assert group.nominal_kw * 1000 <= model.outlet(group.connector_type).max_power_w
            assert group.count >= 1


@pytest.mark.parametrize("kind", ["AC", "DC", "AC-DC"])
def test_templates_are_filtered_by_type(kind: str) -> None:
    found = load_templates(type=kind)
    assert found
    assert {template.type for template in found} == {kind}


def test_a_template_of_both_versions_is_found_under_each() -> None:
    mixed = build_templates(
        [{**TEMPLATE, "groups": [GROUP, {**GROUP, "ocpp_version": "OCPP2.0.1"}]}],
        acme(ocpp_versions=list(OCPP_VERSIONS)),
    )[0]
    assert all(mixed.speaks(version) for version in OCPP_VERSIONS)
    assert not mixed.speaks("OCPP2.1")


@pytest.mark.parametrize("version", OCPP_VERSIONS)
def test_templates_are_filtered_by_version(version: str) -> None:
    found = load_templates(ocpp_version=version)
    left_out = set(load_templates()) - set(found)
    assert found
    assert left_out
    assert all(any(group.ocpp_version == version for group in each.groups) for each in found)
    assert not any(group.ocpp_version == version for each in left_out for group in each.groups)


def test_filters_of_templates_work_together_and_unknown_values_find_nothing() -> None:
    both = load_templates(type="DC", ocpp_version="OCPP2.0.1")
    assert set(both) == set(load_templates(type="DC")) & set(
        load_templates(ocpp_version="OCPP2.0.1")
    )
    assert load_templates(type="MW") == ()
    assert load_templates(ocpp_version="OCPP3") == ()


@pytest.mark.parametrize(
    ("template", "group", "words"),
    [
        ({"country": "Germany"}, {}, "country"),
        ({"parking_type": "ROOF"}, {}, "parking_type"),
        ({"groups": []}, {}, "no groups"),
        ({"slug": "two posts"}, {}, "slug"),
        ({"type": "AC"}, {}, "unknown field type"),
        ({}, {"connector_type": "CCS2"}, "cannot be ordered: Post 22 has no connector 'CCS2'"),
        ({}, {"ocpp_version": "OCPP2.0.1"}, "cannot be ordered: Post 22 does not speak"),
        ({}, {"model_slug": "post-23"}, "cannot be ordered: Unknown model"),
        ({}, {"count": 0}, "no chargers"),
        ({}, {"nominal_kw": 50}, "nominal_kw"),
        ({}, {"nominal_kw": "22"}, "nominal_kw of the wrong type"),
    ],
)
def test_a_wrong_template_is_named_with_its_mistake(
    template: dict[str, Any], group: dict[str, Any], words: str
) -> None:
    entry = {**TEMPLATE, "groups": [{**GROUP, **group}], **template}
    with pytest.raises(CatalogInvalid) as caught:
        build_templates([entry], acme())
    assert words in caught.value.message
    assert entry["slug"] in caught.value.message


def test_a_template_that_is_there_twice_is_refused() -> None:
    with pytest.raises(CatalogInvalid, match="'two-posts' is there twice"):
        build_templates([TEMPLATE, TEMPLATE], acme())
