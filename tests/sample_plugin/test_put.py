import pytest
from orchestrator_put import Put

from orchestrator.api import ConfigError
from orchestrator.testing import wait_until


def test_a_change_goes_to_the_server(fake_inlet, tmp_path, server):
    inlet = fake_inlet(Put(), {"target": server.url})
    (tmp_path / "source" / "it's new?").write_text("hello")
    server.files[b"/old"] = b"x"
    inlet.change("Create", b"/it's new?")
    inlet.change("Delete", b"/old")
    inlet.settle()  # runs what the action has started, to its end
    assert server.files == {b"/it's new?": b"hello"}
    assert inlet.waiting == []


def test_a_directory_goes_with_all_that_is_in_it(fake_inlet, tmp_path, server):
    inlet = fake_inlet(Put(), {"target": server.url})
    server.files.update({b"/d/f": b"x", b"/d/e/f": b"x", b"/dd": b"x"})
    (tmp_path / "source" / "d").mkdir()
    (tmp_path / "source" / "d" / "new").write_text("y")
    inlet.change("Delete", b"/d/")
    inlet.change("Create", b"/d/")  # another one, by the same name
    inlet.change("Create", b"/d/new")
    inlet.settle()
    assert server.files == {b"/dd": b"x", b"/d/new": b"y"}


def test_what_fails_is_tried_again(fake_inlet, server):
    inlet = fake_inlet(Put(), {"target": server.url})
    server.is_down = True
    inlet.change("Delete", b"/old")
    inlet.turn()
    assert inlet.execute(inlet.spawned[0]) == "again"
    assert inlet.lines("Warn") == ["put: /old: HTTP Error 503: Service Unavailable"]


def test_a_wrong_target_is_refused(fake_inlet):
    with pytest.raises(ConfigError, match="needs a"):
        fake_inlet(Put(), {"target": "/srv"})


def test_in_a_real_daemon(daemon, tmp_path, server):
    source = tmp_path / "source"
    source.mkdir()
    (source / "before").write_text("x")
    running = daemon(
        lua=f'sync {{ default.put, source = "{source}", target = "{server.url}", delay = 0 }}',
        plugins={"put": "orchestrator_put"},  # not needed for a plugin that pip has installed
    )
    wait_until(lambda: b"/before" in server.files, "the startup")
    (source / "new").write_text("hello")
    wait_until(lambda: server.files.get(b"/new") == b"hello", "the change")
    (source / "d" / "e").mkdir(parents=True)
    (source / "d" / "e" / "f").write_text("x")
    wait_until(lambda: b"/d/e/f" in server.files, "the directory")
    (source / "d").rename(source / "moved")
    wait_until(lambda: set(server.files) == {b"/before", b"/new", b"/moved/e/f"}, "the directory by its new name")
    (source / "moved").rename(tmp_path / "outside")
    wait_until(lambda: set(server.files) == {b"/before", b"/new"}, "its end")
    running.wait_for("Finished a list")
