# SPDX-License-Identifier: Apache-2.0
"""lib/format against the programs whose rules it follows: knack, jmespath.py, PyYAML and tabulate, all from the
distribution.  Differences that are meant are listed in `meant`."""
import collections
import itertools
import json
import subprocess

import pytest

jmespath = pytest.importorskip("jmespath")
knack = pytest.importorskip("knack.output")
yaml = pytest.importorskip("yaml")

ODD_STRINGS = [
    "a", "true", "1", "1.0", "", "a: b", "- a", "#x", "a #b", "multi\nline", "\u00e4", "x" * 100 + " " + "y" * 50, "~",
    "0x10", "1:30", "2001-01-01", "2001-1-1 1:02:03.4 +1", "=", "<<", "null", "yes", "'q'", '"q"', "a\tb", "[a]", "{a}",
    "%a", "@a", "`a", "!a", "&a", "*a", "?a", "? a", "a:", "a:b", ":a", "-", "---", "...", "1_000", "0o7", "07", "1e3",
    "1.5e+3", ".5", ".inf", ".nan", "+1", "-1", "a\\b", "a\n\nb", " lead", "trail ", "0" * 96, "word " * 30 + "x", "NO",
]
ENCLAVES = [
    {"EnclaveID": 0, "ProcessID": 29990, "EnclaveCID": 4, "LaunchMode": "debug", "id": "z", "l": [1, 2], "ok": True,
     "PCRs": {"PCR0": "0" * 96, "PCR1": "ab"}, "ExitStatus": None},
    {"EnclaveID": 1, "ProcessID": 1, "EnclaveCID": 5, "LaunchMode": "normal", "w": 1.5},
]
VALUES = ([{"k": s} for s in ODD_STRINGS] + ODD_STRINGS + [[s] for s in ODD_STRINGS] +
          [{s: 1} for s in ODD_STRINGS if s.isascii() and s == s.strip() and s.isprintable() and s] +
          [[], {}, [[]], [{}], {"a": [1, [2, 3], {"b": 1, "c": []}]}, True, 1.5, 1e16, 0.1, 1e-7, 12345678901234567890.5,
           [1, "a", None, True, {"x": 1}], ENCLAVES, ENCLAVES[0]])
QUERIES = [
    "[]", "[0]", "[].EnclaveID", "[].{z: EnclaveID, a: LaunchMode}", "[].[EnclaveID, LaunchMode]", "[0].PCRs",
    "[?EnclaveID==`1`]", "[?LaunchMode=='debug'].EnclaveID | [0]", "{b: [0].EnclaveID, a: [1].w, c: [0].l}",
    "[].PCRs.PCR0", "length(@)", "[0].ok", "[0].[ok]", "nothing", "@", "[].l", "[].{P: PCRs, l: l, n: ExitStatus}",
    "sort_by(@, &LaunchMode)[].EnclaveCID", "[0].keys(@)", "[*].PCRs | [0]", "to_string([1])",
]


class Dumper(yaml.SafeDumper):
    """Without anchors: what is printed twice is written twice."""

    def ignore_aliases(self, data):
        return True


class Result:
    """What knack's formatters take."""

    def __init__(self, result, is_query_active):
        self.result, self.is_query_active, self.table_transformer = result, is_query_active, None


def reference(form, value, query):
    if query is not None:
        value = jmespath.search(query, value, jmespath.Options(dict_cls=collections.OrderedDict))
    if value is None:
        return ""
    result = Result(value, query is not None)
    if form == "json":
        # meant: without a query keys keep their order
        return knack.format_json(result) if query is not None else json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    if form == "yaml":
        return yaml.dump(json.loads(json.dumps(value)), Dumper=Dumper, default_flow_style=False, allow_unicode=True,
                         sort_keys=query is not None)
    return {"table": knack.format_table, "tsv": knack.format_tsv}[form](result)


@pytest.fixture(scope="module")
def output(build_dir):
    def run(form, value, query=None):
        command = [build_dir / "lib/format/format-filter", form] + ([query] if query is not None else [])
        return subprocess.run(command, input=json.dumps(value).encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
    return run


@pytest.mark.parametrize("form", ["json", "yaml", "tsv", "table"])
def test_values_are_written_as_the_reference_does(output, form):
    differing = [(value, wanted, got) for value in VALUES
                 if (wanted := reference(form, value, None)) != (got := output(form, value))]
    assert differing == []


@pytest.mark.parametrize("form", ["json", "yaml", "tsv", "table"])
def test_queries_are_answered_as_the_reference_does(output, form):
    differing = [(query, wanted, got) for query in QUERIES
                 if (wanted := reference(form, ENCLAVES, query)) != (got := output(form, ENCLAVES, query))]
    assert differing == []


ATOMS = ["a", "b[0]", "@", "`1`", "'x'", "*", "[*]", "[]", "[0]", "[1:]", "[?a]", "{k: a}", "[a, b]", "c.*", "!a",
         "length(a || `[]`)", "not_null(a, b)", "(a)", "\"b\""]
OPERATORS = [".", "|", "||", "&&", "==", "!=", "", " | [0]", "[]."]


def test_every_small_expression_parses_and_evaluates_as_the_reference_does(build_dir):
    """All pairs of parts under all operators: precedence, projections, and what is no expression at all."""
    data = {"a": [{"a": 1}, {"a": [2]}], "b": [[1, 2], {"k": "x"}], "c": {"x": {"a": 1}, "y": [3]}}
    text = json.dumps(data).encode()
    for left, operator, right in itertools.islice(itertools.product(ATOMS, OPERATORS, ATOMS), 0, None, 7):
        expression = left + operator + right
        try:
            wanted = jmespath.search(expression, data)
        except Exception:  # any of its classes: both must refuse
            wanted = ValueError
        got = subprocess.run([build_dir / "lib/format/format-filter", "json", expression], input=text, capture_output=True)
        if wanted is ValueError:
            assert got.returncode == 1, (expression, got.stdout)
        elif wanted is None:
            assert (got.returncode, got.stdout) == (0, b""), (expression, got)
        else:
            assert got.returncode == 0, (expression, got.stderr)
            assert json.loads(got.stdout) == wanted, expression
