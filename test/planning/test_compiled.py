from __future__ import annotations

import pytest

from edge_robot.planning import compiled

pytestmark = pytest.mark.skipif(not compiled.COMPILED, reason="nothing is compiled here")


def test_where_no_cache_can_be_written_it_compiles_all_the_same(monkeypatch) -> None:
    njit = compiled.numba.njit

    def cacheless(signature, cache=False):
        def refuse(function):
            raise RuntimeError("cannot cache function 'add': no locator available")

        return refuse if cache else njit(signature)

    monkeypatch.setattr(compiled.numba, "njit", cacheless)
    add = compiled.compiled("i8(i8, i8)")(lambda a, b: a + b)
    assert add(2, 3) == 5
    assert add.signatures


def test_other_errors_of_the_compiler_are_told(monkeypatch) -> None:
    def broken(signature, cache=False):
        raise RuntimeError("out of registers")

    monkeypatch.setattr(compiled.numba, "njit", broken)
    with pytest.raises(RuntimeError, match="registers"):
        compiled.compiled("i8(i8)")(lambda a: a)
