"""Aliases from the links of /sys/kernel/slab."""

from __future__ import annotations

from common.sysfs_slab import merged_reclaimable, parse_links, read_links

LINKS = [
    ("biovec-16", ":0000256"),
    ("scsi_cmd_cache", ":0000256"),
    ("skbuff_head", ":0000256"),
    ("UDPv6", ":a-0001280"),
    ("PINGv6", ":a-0001280"),
    ("lonely", ":0000064"),
    ("hidden-1", ":0000032"),
    ("hidden-2", ":0000032"),
]


def test_the_listed_name_gets_the_others() -> None:
    assert parse_links(LINKS, ["dentry", "scsi_cmd_cache", "UDPv6", "lonely"]) == {
        "scsi_cmd_cache": ["biovec-16", "skbuff_head"],
        "UDPv6": ["PINGv6"],
    }


def test_targets_may_be_paths_and_ids_are_no_names() -> None:
    links = [("a", "../slab/:0000128"), ("b", "/sys/kernel/slab/:0000128"), (":t-0000128", ":0000128")]
    assert parse_links(links, ["a"]) == {"a": ["b"]}


def test_a_link_to_a_real_folder() -> None:
    assert parse_links([("alias", "dentry")], ["dentry"]) == {"dentry": ["alias"]}


def test_sysfs_writes_a_slash_as_an_exclamation_mark() -> None:
    links = [("raid5!md0", ":0000512"), ("raid5!md1", ":0000512")]
    assert parse_links(links, ["raid5/md0"]) == {"raid5/md0": ["raid5/md1"]}


def test_a_cache_listed_twice_and_two_listed_in_one_folder() -> None:
    assert parse_links(LINKS, ["UDPv6", "UDPv6"]) == {"UDPv6": ["PINGv6"]}
    assert parse_links(LINKS, ["UDPv6", "PINGv6"]) == {}


def test_a_merged_caches_folder_says_whether_it_is_reclaimable() -> None:
    links = [("UDPv6", ":aA-0001280"), ("raid5!md0", "../:0000512"), ("alias", "dentry"), (":t-0000128", ":0000128")]
    assert merged_reclaimable(links) == {"UDPv6": True, "raid5/md0": False}


def test_a_listing() -> None:
    listing = """\
total 0
drwxr-xr-x 2 root root 0 Nov 23 18:42 :0000024
drwxr-xr-x 2 root root 0 Nov 23 18:42 dentry
lrwxrwxrwx 1 root root 0 Nov 23 18:42 biovec-16 -> :0000256
lrwxrwxrwx. 1 root root 0 Jan  1  2026 eventpoll pwq -> :0000072
lrwxrwxrwx 1 root root 0 2026-11-23 18:42 size 32 -> ../slab/:0000032
"""
    assert read_links(listing) == [
        ("biovec-16", ":0000256"),
        ("eventpoll pwq", ":0000072"),
        ("size 32", "../slab/:0000032"),
    ]
    assert read_links(":0000024\ndentry\nbiovec-16 -> :0000256\n -> \n") == [("biovec-16", ":0000256")]
    assert read_links("") == []
