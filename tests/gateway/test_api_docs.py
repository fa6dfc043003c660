import re

from fastchat.gateway.api_docs import OPERATIONS, api_page, openapi_document


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = openapi_document()
    references = set(re.findall(r"'#/components/schemas/([\w-]+)'", str(document)))
    assert references
    assert references <= set(document["components"]["schemas"])


def test_the_page_shows_every_operation_and_loads_nothing() -> None:
    page = api_page()
    assert all(operation.path in page for operation in OPERATIONS)
    assert not re.search(r'(src|href)="(https?:)?//', page)
