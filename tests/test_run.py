"""What is hidden of texts and of Spark's settings before people see them."""

from __future__ import annotations

import pytest

from coffee_boat._support.redact import redact, redact_setting


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:SECRET@host/x.whl", "https://***@host/x.whl"),
        (
            "GET https://host/t/SECRET/channel/x.conda, https://host/api/t/SECRET",
            "GET https://host/t/***/channel/x.conda, https://host/api/t/***",
        ),
        ("https://host/x.whl?token=SECRET", "https://host/x.whl?token=***"),
        (
            "https://me:SECRET@host/x.whl?sv=2022&sig=SEC%2BRET%3D",
            "https://***@host/x.whl?sv=***&sig=***",
        ),
        (
            "403 for url: https://b.s3.amazonaws.com/x.whl?X-Amz-Expires=60&X-Amz-Signature=SECRET",
            "403 for url: https://b.s3.amazonaws.com/x.whl?X-Amz-Expires=***&X-Amz-Signature=***",
        ),
        (
            "Max retries exceeded with url: /x.whl?token=SECRET (Caused by ...)",
            "Max retries exceeded with url: /x.whl?token=*** (Caused by ...)",
        ),
        (
            "a @ https://h/a.whl?t=SECRET, b @ https://h/b.whl?t=SECRET; see https://h/c",
            "a @ https://h/a.whl?t=***, b @ https://h/b.whl?t=***; see https://h/c",
        ),
        (
            "Requirement(url='https://h/a.whl?t=SECRET', name='a')",
            "Requirement(url='https://h/a.whl?t=***', name='a')",
        ),
        ("(https://h/a.whl?t=SEC.RET): gone", "(https://h/a.whl?t=***): gone"),
        ("https://h/a.whl?t=SECRET==;RET&u=", "https://h/a.whl?t=***&u="),
        ("https://h/a.whl?next=https://i/b?t=SECRET", "https://h/a.whl?next=***"),
        ("sc://host:15002/;user_id=me;token=SECRET", "sc://host:15002/;user_id=***;token=***"),
        (
            "git+https://h/a?t=SECRET#egg=name&subdirectory=x",
            "git+https://h/a?t=***#egg=name&subdirectory=x",
        ),
    ],
)
def test_secrets_in_urls_are_hidden_and_names_are_kept(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "git+https://host/repo.git@v1#egg=name&subdirectory=x",
        "https://host/x-1-py3-none-any.whl#sha256=abc",
        'numpy>=2; python_version < "3.12" and extra == "x"',
        "a @ https://host/a.whl ; python_version=='3.12'",
        "is it https://host/? or file:///shared/boats",
        "pip install --index-url=https://host/simple",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("spark.hadoop.fs.s3a.secret.key", "hunter2", "***"),
        ("spark.hadoop.fs.s3a.access.key", "hunter2", "***"),
        ("spark.ssl.keyStorePassword", "hunter2", "***"),
        ("spark.my.TOKEN", "hunter2", "***"),
        (
            "spark.executor.extraJavaOptions",
            "-Xmx1g -Ddb.password=hunter2 -ea",
            "-Xmx1g -Ddb.password=*** -ea",
        ),
        (
            "spark.driver.extraJavaOptions",
            "-Ddb.password='hunter2 hunter2' -ea",
            "-Ddb.password=*** -ea",
        ),
        (
            "spark.archives",
            "https://me:hunter2@host/a.tar.gz?sig=hunter2#a",
            "https://***@host/a.tar.gz?sig=***#a",
        ),
        ("spark.executorEnv.PYTHONPATH", "/opt/tokenizers", "/opt/tokenizers"),
        ("spark.master", "local[2]", "local[2]"),
    ],
)
def test_settings_that_spark_itself_would_hide_are_hidden(key: str, value: str, shown: str) -> None:
    assert redact_setting(key, value) == shown
