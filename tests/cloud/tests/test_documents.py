"""What the documents say about the deployment, compared with the configuration."""

import re

import pytest

from tests.terraform import MODULES, REPOSITORY

DOCUMENTS = ["docs/operations.md", "terraform/README.md", "terraform/modules/alarms/README.md"]
OPERATIONS = (REPOSITORY / "docs/operations.md").read_text()


def inputs(module: str) -> dict[str, str]:
    """The inputs of a module, name => definition."""
    text = (REPOSITORY / "terraform" / module / "variables.tf").read_text()
    found = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    return dict(found)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_inputs_that_a_document_names_exist(document: str) -> None:
    text = (REPOSITORY / document).read_text()
    modules = [inputs(module) for module in MODULES]
    named = set(re.findall(r"`(\w+)\.(\w+)`", text))
    missing = [
        f"{name}.{attribute}"
        for name, attribute in sorted(named)
        if any(name in known for known in modules)
        and not any(re.search(rf"\b{attribute}\b", known.get(name, "")) for known in modules)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("EFSMountFailureException", "(403)"),
        ("EFSMountTimeoutException", "(408)"),
        ("EFSMountConnectivityException", "(408)"),
        ("EFSIOException", "(410)"),
    ],
)
def test_a_first_mount_that_fails_is_documented_with_what_to_do(error: str, status: str) -> None:
    (row,) = [line for line in OPERATIONS.splitlines() if f"`{error}`" in line]
    failure, remedy = row.strip("|").rsplit("|", 1)
    assert status in failure.split(error)[1]
    assert "Apply again" in remedy


def test_the_throughput_of_a_function_is_that_of_a_client_of_nfs() -> None:
    # 1,500 MiB/s need the mount helper of EFS, which Lambda does not have.
    said = inputs("modules/efs")["throughput_mode"]
    assert "500 MiB/s per function instance" in said
    assert not re.search(r"1,?500 MiB/s", said)


def test_every_alarm_has_a_row_that_says_what_to_do() -> None:
    source = (REPOSITORY / "terraform/modules/alarms/main.tf").read_text()
    alarms = re.findall(r"^      ([\w-]+) = \{\n        description", source, re.MULTILINE)
    table = (REPOSITORY / "terraform/modules/alarms/README.md").read_text()
    assert len(alarms) == 9
    for alarm in alarms:
        (row,) = re.findall(rf"^\| `{alarm}` \| (.*) \| (.*) \|$", table, re.MULTILINE)
        assert all(len(cell) > 10 for cell in row), alarm


def test_every_query_of_the_dashboard_is_explained() -> None:
    source = (REPOSITORY / "terraform/modules/alarms/dashboard.tf").read_text()
    titles = re.findall(r'^    "([^"]+)"\s+= "filter', source, re.MULTILINE)
    table = (REPOSITORY / "terraform/modules/alarms/README.md").read_text()
    assert len(titles) == 6
    for title in titles:
        assert f"| {title} | " in table, title


def test_the_function_url_is_documented_for_clients_that_sign() -> None:
    # A browser, and a client that sends a key, gets a 403 there.
    source = (REPOSITORY / "terraform/modules/lambda/main.tf").read_text()
    assert set(re.findall(r'authorization_type\s*= "(\w+)"', source)) == {"AWS_IAM"}
    readme = (REPOSITORY / "README.md").read_text()
    paragraph = " ".join(readme.split("LangChain's")[1].split("![")[0].split())
    assert (
        "they need the [HTTP API with API keys](terraform/modules/gateway/README.md)" in paragraph
    )
    assert "a function URL accepts only requests signed with SigV4" in paragraph
    assert not re.search(r"browser[^.]*function URL|function URL[^.]*browser", paragraph)


def test_a_roll_back_beyond_the_kept_versions_is_documented() -> None:
    before, command, _ = OPERATIONS.partition("aws lambda update-alias")
    assert command
    section = " ".join(before.rsplit("\n### ", 1)[1].split())
    assert "`file_system_config.keep_versions`" in section
    assert "A version whose folder was pruned cannot start" in section
