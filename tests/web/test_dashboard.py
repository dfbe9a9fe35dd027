"""The dashboard as a person sees it, in a real browser, of a real coordinator."""

from __future__ import annotations

import pathlib
import urllib.error

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from cluster import ROOT, Coordinator, pool

expect.set_options(timeout=60_000)
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


def node(page: Page, name: str) -> Locator:
    return page.locator(f'[data-node="{name}"]')


def group(page: Page, title: str) -> Locator:
    return page.get_by_role("article", name=title)


def figure(page: Page, title: str, name: str) -> Locator:
    return group(page, title).locator("div", has=page.locator("dt", has_text=name)).locator("dd")


def mark_document(page: Page) -> None:
    """A reload would lose this."""
    page.evaluate("window.same = true")


def assert_not_reloaded(page: Page) -> None:
    assert page.evaluate("window.same") is True


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Show the cluster").click()


def test_nodes_and_their_states_are_shown(coordinator: Coordinator, page: Page) -> None:
    coordinator.node("berlin-1", pool(active=3, waiting=2), zone="eu", location="grpc://10.0.0.1:7470")
    coordinator.node("boston-1", pool("orders", healthy=False))
    page.goto(coordinator.url)
    expect(page.locator("#health")).to_have_text("2 of 2 nodes up")
    expect(node(page, "berlin-1")).to_contain_text("up")
    expect(node(page, "berlin-1")).to_contain_text("3/10")
    expect(node(page, "berlin-1")).to_contain_text("eu")
    expect(node(page, "berlin-1")).to_contain_text("grpc://10.0.0.1:7470")
    expect(node(page, "boston-1")).to_contain_text("orders (unhealthy)")


def test_a_node_that_drains_comes_or_leaves_shows_without_a_reload(coordinator: Coordinator, page: Page) -> None:
    coordinator.node("a")
    b = coordinator.node("b")
    page.goto(coordinator.url)
    expect(page.locator("[data-node]")).to_have_count(2)
    mark_document(page)
    coordinator.call("POST", "/v1/nodes/a/drain")
    expect(node(page, "a")).to_contain_text("draining")
    expect(page.locator("#health")).to_have_text("1 of 2 nodes up")
    coordinator.call("POST", "/v1/nodes/a/undrain")
    expect(page.locator("#health")).to_have_text("2 of 2 nodes up")
    coordinator.node("c")
    expect(node(page, "c")).to_contain_text("up")
    b.leave()
    expect(node(page, "b")).to_have_count(0)
    assert_not_reloaded(page)


def test_a_node_that_dies_is_told_and_moves_to_the_top(coordinator: Coordinator, page: Page) -> None:
    for name in ("a", "b", "c"):
        coordinator.node(name)
    page.goto(coordinator.url)
    expect(page.locator("#health")).to_have_text("3 of 3 nodes up")
    mark_document(page)
    coordinator.nodes["c"].die()
    expect(node(page, "c")).to_contain_text("dead")
    expect(page.locator("[data-node]").first).to_have_attribute("data-node", "c")
    expect(page.locator("[data-pool=main_db]")).to_contain_text("2 of 3")
    assert_not_reloaded(page)


def test_changes_come_by_the_watch_and_not_by_asking_again(coordinator: Coordinator, page: Page) -> None:
    coordinator.node("a")
    page.goto(coordinator.url)
    expect(node(page, "a")).to_contain_text("up")
    # The next list never gets through: only the watch can tell.
    page.route("**/v1/nodes", lambda route: None)
    coordinator.call("POST", "/v1/nodes/a/drain")
    expect(node(page, "a")).to_contain_text("draining")


def test_a_pool_is_shown_over_all_its_nodes(coordinator: Coordinator, page: Page) -> None:
    coordinator.node("a", pool(active=2, idle=1), pool("orders"))
    coordinator.node("b", pool(active=3, idle=4, waiting=5, healthy=False))
    page.goto(coordinator.url)
    row = page.locator("[data-pool=main_db] > *")
    expect(row).to_have_text(["main_db", "1 of 2", "5/20", "5", "5", "1", "sqlite"])
    expect(page.locator("[data-pool=orders]")).to_contain_text("1 of 1")


BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]


def histogram(name: str, counts: dict[float, int]) -> dict[str, object]:
    """`counts` by upper bound."""
    all_counts = [counts.get(bound, 0) for bound in BOUNDS]
    return {"name": name, "kind": "histogram", "value": 1, "bounds": BOUNDS, "counts": [*all_counts, 0]}


def counter(name: str, value: float) -> dict[str, object]:
    return {"name": name, "kind": "counter", "value": value}


def test_the_five_groups_of_metrics_are_shown_and_go_on(coordinator: Coordinator, page: Page) -> None:
    a = coordinator.node("a", pool(active=4, idle=2), pool("orders", healthy=False))
    page.goto(coordinator.url)
    expect(figure(page, "Request routing", "Success")).to_have_text("–")
    samples = [
        counter("cenote_route_requests_total", 10_000),
        counter("cenote_route_failures_total", 1),
        histogram("cenote_route_duration_seconds", {0.01: 9_000, 0.25: 900, 5: 100}),
        counter("cenote_failover_total", 7),
        histogram("cenote_failover_recovery_seconds", {0.25: 5, 5: 2}),
        histogram("cenote_partition_detection_seconds", {5: 2}),
        histogram("cenote_partition_recovery_seconds", {0.25: 2}),
        counter("cenote_config_sync_total", 20),
        counter("cenote_config_sync_failures_total", 5),
        histogram("cenote_config_sync_seconds", {0.01: 15, 0.25: 5}),
    ]
    a.report(*samples)
    expect(figure(page, "Pool distribution", "Nodes up")).to_have_text("1 of 1")
    expect(figure(page, "Pool distribution", "Instances")).to_have_text("2")
    expect(figure(page, "Pool distribution", "Unhealthy")).to_have_text("1")
    expect(figure(page, "Request routing", "Success")).to_have_text("99.990 %")
    expect(figure(page, "Request routing", "Requests")).to_contain_text("10,000")
    expect(figure(page, "Request routing", "Latency p50")).to_have_text("≤ 10 ms")
    expect(figure(page, "Request routing", "Latency p99")).to_have_text("≤ 250 ms")
    expect(figure(page, "Failover", "Switches")).to_have_text("7")
    expect(figure(page, "Failover", "Recovery p99")).to_have_text("≤ 5 s")
    expect(figure(page, "Network partition", "Partitions")).to_have_text("2")
    expect(figure(page, "Network partition", "Recovery p50")).to_have_text("≤ 250 ms")
    expect(figure(page, "Configuration sync", "Success")).to_have_text("75.000 %")
    expect(figure(page, "Configuration sync", "Latency p50")).to_have_text("≤ 10 ms")
    expect(page.locator("article canvas")).to_have_count(5)
    mark_document(page)
    a.report(counter("cenote_failover_total", 8))
    expect(figure(page, "Failover", "Switches")).to_have_text("8")
    assert_not_reloaded(page)


def test_the_configuration_history_tells_who_when_and_what_changed(coordinator: Coordinator, page: Page) -> None:
    page.goto(coordinator.url)
    expect(page.get_by_text("No configuration has been written yet")).to_be_visible()
    coordinator.write_config(10)
    expect(page.locator("[data-version]")).to_have_count(1)
    coordinator.write_config(20)
    diff = page.get_by_role("region", name="Difference from version 1 to 2")
    expect(diff.locator(".removed")).to_have_text("-      pool: {max_connections: 10}")
    expect(diff.locator(".added")).to_have_text("+      pool: {max_connections: 20}")
    coordinator.call("POST", "/v1/config/default/rollback", {"to": 1})
    expect(page.locator('[data-version="3"]')).to_contain_text("rolled back")
    expect(page.locator('[data-version="3"]')).to_contain_text("back to version 1")
    page.get_by_role("button", name="Changes of version 1").click()
    first = page.get_by_role("region", name="Difference from version 0 to 1")
    expect(first.locator(".added").first).to_have_text("+deployment:")
    page.get_by_role("combobox", name="to", exact=True).select_option("3")
    page.get_by_role("combobox", name="From version").select_option("1")
    expect(page.get_by_text("The two are the same.")).to_be_visible()


def test_every_scope_of_configuration_has_its_history(coordinator: Coordinator, page: Page) -> None:
    coordinator.write_config(10, "default")
    coordinator.write_config(11, "eu")
    coordinator.write_config(12, "eu")
    page.goto(coordinator.url)
    expect(page.locator("[data-version]")).to_have_count(1)
    page.get_by_label("Scope").select_option("eu")
    expect(page.locator("[data-version]")).to_have_count(2)
    expect(page.locator(".added")).to_contain_text("12")


MARKUP = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"


def test_names_that_are_markup_are_text(coordinator: Coordinator, page: Page) -> None:
    for node_id, location in (("<script>", "grpc://a:1"), ("a", f"grpc://{MARKUP}")):
        about = {"node_id": node_id, "incarnation": 1, "location": location, "pools": [pool()]}
        with pytest.raises(urllib.error.HTTPError) as refused:
            coordinator.call("POST", "/v1/nodes", about)
        refused.value.close()
        assert refused.value.code == 422
    coordinator.node("a", pool(MARKUP, type=MARKUP), zone=MARKUP)
    page.goto(coordinator.url)
    cells = node(page, "a").locator("td")
    expect(cells.nth(3)).to_have_text(MARKUP)
    expect(cells.nth(4)).to_have_text(MARKUP)
    expect(page.locator("main img, main script")).to_have_count(0)
    assert page.evaluate("window.ran") is None


def test_the_token_is_asked_once_and_kept_in_this_tab_alone(guarded: Coordinator, page: Page) -> None:
    guarded.node("a")
    page.goto(guarded.url)
    expect(page.get_by_role("alert")).to_have_count(0)
    log_in(page, "wrong-token")
    expect(page.get_by_role("alert")).to_contain_text("does not accept this token")
    log_in(page, guarded.tokens["node"])
    expect(page.get_by_role("alert")).to_contain_text("needs a token with the role viewer or operator")
    log_in(page, guarded.tokens["viewer"])
    expect(node(page, "a")).to_contain_text("up")
    page.reload()
    expect(node(page, "a")).to_contain_text("up")
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    another = page.context.new_page()
    another.goto(guarded.url)
    expect(another.get_by_label("Token")).to_be_visible()
    page.get_by_role("button", name="Forget the token").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_token_that_is_revoked_takes_the_cluster_from_the_screen(guarded: Coordinator, page: Page) -> None:
    guarded.node("a")
    made = guarded.call("POST", "/v1/tokens", {"name": "guest", "role": "viewer"})
    page.goto(guarded.url)
    log_in(page, made["token"])
    expect(node(page, "a")).to_contain_text("up")
    guarded.call("DELETE", "/v1/tokens/guest")
    expect(page.get_by_role("alert")).to_contain_text("revoked")
    expect(page.locator("[data-node]")).to_have_count(0)


def test_a_coordinator_that_is_away_is_told_and_its_return_needs_no_reload(
    coordinator: Coordinator, page: Page
) -> None:
    coordinator.node("a")
    page.goto(coordinator.url)
    expect(node(page, "a")).to_contain_text("up")
    mark_document(page)
    coordinator.stop()
    expect(page.get_by_role("alert")).to_contain_text("cannot be asked since")
    expect(node(page, "a")).to_contain_text("up")
    coordinator.start()
    expect(page.get_by_role("alert")).to_have_count(0)
    coordinator.call("POST", "/v1/nodes/a/drain")
    expect(node(page, "a")).to_contain_text("draining")
    assert_not_reloaded(page)


def test_of_many_nodes_those_in_trouble_are_seen_and_the_others_found(tmp_path: pathlib.Path, page: Page) -> None:
    # None of them sends a heartbeat.
    with Coordinator(tmp_path, suspect_after="10min", dead_after="20min") as coordinator:
        for i in range(250):
            about = {"node_id": f"n{i:03}", "incarnation": 1, "location": "grpc://127.0.0.1:1", "pools": [pool()]}
            coordinator.call("POST", "/v1/nodes", about)
        coordinator.call("POST", "/v1/nodes/n249/drain")
        page.goto(coordinator.url)
        expect(page.locator("[data-node]")).to_have_count(200)
        expect(page.get_by_text("200 of 250 shown")).to_be_visible()
        expect(node(page, "n249")).to_be_visible()
        page.get_by_label("Filter").fill("N24")
        expect(page.locator("[data-node]")).to_have_count(10)


def test_it_is_usable_on_a_phone(coordinator: Coordinator, page: Page) -> None:
    coordinator.node("a-node-with-a-rather-long-name-in-a-far-away-place-1", pool("main_db_of_the_shop", active=3))
    coordinator.write_config(10)
    coordinator.write_config(20)
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(coordinator.url)
    expect(page.locator("[data-version]")).to_have_count(2)
    expect(page.locator(".added")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    for text in ("a-node-with-a-rather-long-name-in-a-far-away-place-1", "3/10", "main_db_of_the_shop"):
        box = page.get_by_text(text).filter(visible=True).first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400


def test_what_the_night_shows_is_dark(coordinator: Coordinator, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(coordinator.url)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 20, 22)"
    page.emulate_media(color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 250)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_everyone_can_read_it(guarded: Coordinator, context: BrowserContext, scheme: str, width: int) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    guarded.node("a", pool(healthy=False))
    guarded.node("b")
    guarded.call("POST", "/v1/nodes/b/drain")
    guarded.write_config(10)
    guarded.write_config(20)
    page.goto(guarded.url)
    log_in(page, "wrong-token")
    expect(page.get_by_role("alert")).to_be_visible()
    assert judged(page) == []
    log_in(page, guarded.tokens["viewer"])
    expect(page.locator(".added")).to_be_visible()
    expect(node(page, "b")).to_contain_text("draining")
    assert judged(page) == []


def judged(page: Page) -> list[str]:
    """What axe finds: labels, contrast, headings, roles, landmarks."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")
    return [f"{v['id']}: {v['help']}: {n['html']}" for v in found["violations"] for n in v["nodes"]]
