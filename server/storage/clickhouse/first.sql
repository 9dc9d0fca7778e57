-- The first schema. Statements end with a semicolon at the end of a line; {braces} are filled in by schema.py:
-- {local} is "_local" on a cluster and nothing on a single server; {Replacing...} and {Aggregating...} are table engines,
-- replicated where the URL says so; {disk} makes an insert wait for fsync where there is no replication.
-- Times are milliseconds since the epoch. Partitions go by the day of receipt, as retention does: a node's clock may
-- say anything. NaN and -1 stand for unknown.
-- A kernel's four counts say nearly the same thing, so three of them are kept as what num_objs does not foretell, mostly
-- zero: unused_objs = num_objs - active_objs, odd_slabs = num_slabs - num_objs / objs_per_slab (of the layout),
-- unused_slabs = num_slabs - active_slabs. A column that the sender left out is an empty array.

CREATE TABLE IF NOT EXISTS snapshots{local} (
    node String CODEC(ZSTD(3)),
    taken Int64 CODEC(DoubleDelta, ZSTD(1)),
    boot String CODEC(ZSTD(3)),
    layout String CODEC(ZSTD(3)),
    received Int64 CODEC(DoubleDelta, ZSTD(1)),
    first Int64 CODEC(DoubleDelta, ZSTD(1)),
    offset Float64 CODEC(ZSTD(1)),
    uptime Float64 CODEC(ZSTD(1)),
    read_seconds Float64 CODEC(ZSTD(1)),
    memory Array(Int64) CODEC(ZSTD(3)),
    facts String CODEC(ZSTD(3)),
    allocated Int64 CODEC(ZSTD(1)),
    active Int64 CODEC(ZSTD(1)),
    num_objs Array(Int64) CODEC(ZSTD(3)),
    unused_objs Array(Int64) CODEC(ZSTD(3)),
    odd_slabs Array(Int64) CODEC(ZSTD(3)),
    unused_slabs Array(Int64) CODEC(ZSTD(3)),
    INDEX taken_range taken TYPE minmax GRANULARITY 1
) ENGINE = {Replacing:snapshots:first}
PARTITION BY toDate(toDateTime(intDiv(received, 1000), 'UTC'))
ORDER BY (node, taken, boot)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1{disk};

-- A roll-up: for every row of the layout the least and the last count of the snapshots in a bucket. Its rows merge as
-- parts do; readers join what is not merged yet, so that it makes no difference. `taken` names the snapshots in it:
-- one that comes twice counts once.
CREATE TABLE IF NOT EXISTS rollup_300{local} (
    node String CODEC(ZSTD(3)),
    bucket Int64 CODEC(DoubleDelta, ZSTD(1)),
    boot String CODEC(ZSTD(3)),
    layout String CODEC(ZSTD(3)),
    received SimpleAggregateFunction(max, Int64) CODEC(DoubleDelta, ZSTD(1)),
    taken SimpleAggregateFunction(groupUniqArrayArray, Array(Int64)) CODEC(ZSTD(3)),
    last AggregateFunction(argMax, Tuple(Float64, Array(Int64), Array(Int64), Array(Int64)), Int64) CODEC(ZSTD(3)),
    num_min AggregateFunction(minForEach, Array(Int64)) CODEC(ZSTD(3)),
    active_min AggregateFunction(minForEach, Array(Int64)) CODEC(ZSTD(3)),
    INDEX bucket_range bucket TYPE minmax GRANULARITY 1
) ENGINE = {Aggregating:rollup_300}
PARTITION BY toDate(toDateTime(intDiv(received, 1000), 'UTC'))
ORDER BY (node, bucket, boot, layout)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1{disk};

CREATE MATERIALIZED VIEW IF NOT EXISTS rollup_300_view{local} TO rollup_300{local} AS
SELECT node, intDiv(at, 300000) AS bucket, boot, layout, max(heard) AS received, groupUniqArray(at) AS taken,
    argMaxState((uptime, memory, num_objs, active_objs), at) AS last,
    minForEachState(num_objs) AS num_min, minForEachState(active_objs) AS active_min
FROM (SELECT *, taken AS at, received AS heard, arrayMap((n, u) -> n - u, num_objs, unused_objs) AS active_objs
    FROM snapshots{local})
GROUP BY node, bucket, boot, layout;

CREATE TABLE IF NOT EXISTS rollup_3600{local} (
    node String CODEC(ZSTD(3)),
    bucket Int64 CODEC(DoubleDelta, ZSTD(1)),
    boot String CODEC(ZSTD(3)),
    layout String CODEC(ZSTD(3)),
    received SimpleAggregateFunction(max, Int64) CODEC(DoubleDelta, ZSTD(1)),
    taken SimpleAggregateFunction(groupUniqArrayArray, Array(Int64)) CODEC(ZSTD(3)),
    last AggregateFunction(argMax, Tuple(Float64, Array(Int64), Array(Int64), Array(Int64)), Int64) CODEC(ZSTD(3)),
    num_min AggregateFunction(minForEach, Array(Int64)) CODEC(ZSTD(3)),
    active_min AggregateFunction(minForEach, Array(Int64)) CODEC(ZSTD(3)),
    INDEX bucket_range bucket TYPE minmax GRANULARITY 1
) ENGINE = {Aggregating:rollup_3600}
PARTITION BY toYYYYMM(toDateTime(intDiv(received, 1000), 'UTC'))
ORDER BY (node, bucket, boot, layout)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1{disk};

CREATE MATERIALIZED VIEW IF NOT EXISTS rollup_3600_view{local} TO rollup_3600{local} AS
SELECT node, intDiv(at, 3600000) AS bucket, boot, layout, max(heard) AS received, groupUniqArray(at) AS taken,
    argMaxState((uptime, memory, num_objs, active_objs), at) AS last,
    minForEachState(num_objs) AS num_min, minForEachState(active_objs) AS active_min
FROM (SELECT *, taken AS at, received AS heard, arrayMap((n, u) -> n - u, num_objs, unused_objs) AS active_objs
    FROM snapshots{local})
GROUP BY node, bucket, boot, layout;

-- A node: its newest snapshot (the greatest tuple begins with the greatest instant), and when it was heard of.
CREATE TABLE IF NOT EXISTS nodes{local} (
    node String CODEC(ZSTD(3)),
    newest SimpleAggregateFunction(max, Tuple(taken Int64, boot String, facts String, uptime Float64, offset Float64,
        read_seconds Float64, allocated Int64, active Int64, memory Array(Int64))) CODEC(ZSTD(3)),
    first SimpleAggregateFunction(min, Int64),
    seen SimpleAggregateFunction(max, Int64),
    booted SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD(3))
) ENGINE = {Aggregating:nodes}
ORDER BY node
SETTINGS index_granularity = 256{disk};

CREATE MATERIALIZED VIEW IF NOT EXISTS nodes_view{local} TO nodes{local} AS
SELECT node, max((taken, boot, facts, uptime, offset, read_seconds, allocated, active, memory)) AS newest,
    min(taken) AS first, max(received) AS seen, groupUniqArrayIf(boot, startsWith(boot, 'booted ')) AS booted
FROM snapshots{local} GROUP BY node;

-- Names and geometry, by hash; `seen` is written anew about once a day while snapshots come with it.
CREATE TABLE IF NOT EXISTS layouts{local} (
    hash String CODEC(ZSTD(3)),
    columns String CODEC(ZSTD(9)),
    seen Int64
) ENGINE = {Replacing:layouts:seen}
ORDER BY hash
SETTINGS index_granularity = 16{disk};

-- Up to which receipt each tier (0 is snapshots, else seconds of its buckets) is forgotten.
CREATE TABLE IF NOT EXISTS forgotten{local} (
    tier Int64,
    until Int64
) ENGINE = {Replacing:forgotten:until}
ORDER BY tier
SETTINGS index_granularity = 16{disk};
