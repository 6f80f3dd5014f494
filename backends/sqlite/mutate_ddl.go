package sqlite

// ddl are the statements by which Python Trackio 0.36 creates its tables, in the
// same words, so that a database made here is one that it made. They are in
// order: a table before its indexes.
var ddl = [...]struct{ table, text string }{
	{"metrics", `CREATE TABLE IF NOT EXISTS metrics (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        run_id TEXT NOT NULL,
                        timestamp TEXT NOT NULL,
                        run_name TEXT NOT NULL,
                        step INTEGER NOT NULL,
                        metrics TEXT NOT NULL,
                        log_id TEXT,
                        space_id TEXT
                    )`},
	{"configs", `CREATE TABLE IF NOT EXISTS configs (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        run_id TEXT NOT NULL,
                        run_name TEXT NOT NULL,
                        config TEXT NOT NULL,
                        created_at TEXT NOT NULL,
                        UNIQUE(run_id)
                    )`},
	{"system_metrics", `CREATE TABLE IF NOT EXISTS system_metrics (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        run_id TEXT NOT NULL,
                        timestamp TEXT NOT NULL,
                        run_name TEXT NOT NULL,
                        metrics TEXT NOT NULL,
                        log_id TEXT,
                        space_id TEXT
                    )`},
	{"traces", `CREATE TABLE IF NOT EXISTS traces (
                        id TEXT PRIMARY KEY,
                        run_id TEXT NOT NULL,
                        timestamp TEXT NOT NULL,
                        run_name TEXT NOT NULL,
                        step INTEGER NOT NULL,
                        key TEXT NOT NULL,
                        trace_index INTEGER,
                        messages TEXT NOT NULL,
                        metadata TEXT NOT NULL,
                        search_text TEXT NOT NULL,
                        log_id TEXT,
                        space_id TEXT
                    )`},
	{"project_metadata", `CREATE TABLE IF NOT EXISTS project_metadata (
                        key TEXT PRIMARY KEY,
                        value TEXT NOT NULL
                    )`},
	{"pending_uploads", `CREATE TABLE IF NOT EXISTS pending_uploads (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        space_id TEXT NOT NULL,
                        run_id TEXT,
                        run_name TEXT,
                        step INTEGER,
                        file_path TEXT NOT NULL,
                        relative_path TEXT,
                        created_at TEXT NOT NULL,
                        kind TEXT NOT NULL DEFAULT 'media',
                        digest TEXT
                    )`},
	{"alerts", `CREATE TABLE IF NOT EXISTS alerts (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        run_id TEXT NOT NULL,
                        timestamp TEXT NOT NULL,
                        run_name TEXT NOT NULL,
                        title TEXT NOT NULL,
                        text TEXT,
                        level TEXT NOT NULL DEFAULT 'warn',
                        step INTEGER,
                        alert_id TEXT
                    )`},
	{"artifacts", `CREATE TABLE IF NOT EXISTS artifacts (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        name TEXT NOT NULL UNIQUE,
                        type TEXT NOT NULL,
                        description TEXT,
                        created_at TEXT NOT NULL
                    )`},
	{"artifact_versions", `CREATE TABLE IF NOT EXISTS artifact_versions (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        artifact_id INTEGER NOT NULL REFERENCES artifacts(id),
                        version INTEGER NOT NULL,
                        manifest_digest TEXT NOT NULL,
                        manifest TEXT NOT NULL,
                        metadata TEXT,
                        size_bytes INTEGER NOT NULL,
                        producer_run_id TEXT,
                        producer_run_name TEXT,
                        created_at TEXT NOT NULL,
                        UNIQUE(artifact_id, version),
                        UNIQUE(artifact_id, manifest_digest)
                    )`},
	{"artifact_aliases", `CREATE TABLE IF NOT EXISTS artifact_aliases (
                        artifact_id INTEGER NOT NULL REFERENCES artifacts(id),
                        alias TEXT NOT NULL,
                        artifact_version_id INTEGER NOT NULL REFERENCES artifact_versions(id),
                        PRIMARY KEY (artifact_id, alias)
                    )`},
	{"run_artifact_links", `CREATE TABLE IF NOT EXISTS run_artifact_links (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        run_id TEXT,
                        run_name TEXT,
                        artifact_version_id INTEGER NOT NULL REFERENCES artifact_versions(id),
                        direction TEXT NOT NULL CHECK(direction IN ('input', 'output')),
                        created_at TEXT NOT NULL
                    )`},
	{"run_artifact_links", `CREATE INDEX IF NOT EXISTS idx_run_artifact_links_run
                    ON run_artifact_links(run_id, run_name)`},
	{"run_artifact_links", `CREATE INDEX IF NOT EXISTS idx_run_artifact_links_name
                    ON run_artifact_links(run_name, run_id)`},
	{"run_artifact_links", `CREATE INDEX IF NOT EXISTS idx_run_artifact_links_version
                    ON run_artifact_links(artifact_version_id)`},
	{"run_artifact_links", `CREATE UNIQUE INDEX IF NOT EXISTS idx_run_artifact_links_unique
                    ON run_artifact_links(run_id, artifact_version_id, direction)`},
	{"pending_uploads", `CREATE INDEX IF NOT EXISTS idx_pending_uploads_kind
                    ON pending_uploads(kind)`},
	{"metrics", `CREATE INDEX IF NOT EXISTS idx_metrics_run_step
                    ON metrics(run_id, step)`},
	{"metrics", `CREATE INDEX IF NOT EXISTS idx_metrics_run_timestamp
                    ON metrics(run_id, timestamp)`},
	{"configs", `CREATE INDEX IF NOT EXISTS idx_configs_run_name
                    ON configs(run_name)`},
	{"system_metrics", `CREATE INDEX IF NOT EXISTS idx_system_metrics_run_timestamp
                    ON system_metrics(run_id, timestamp)`},
	{"traces", `CREATE INDEX IF NOT EXISTS idx_traces_run_step
                    ON traces(run_id, step)`},
	{"traces", `CREATE INDEX IF NOT EXISTS idx_traces_run_timestamp
                    ON traces(run_id, timestamp)`},
	{"traces", `CREATE INDEX IF NOT EXISTS idx_traces_search
                    ON traces(search_text)`},
	{"alerts", `CREATE INDEX IF NOT EXISTS idx_alerts_run
                    ON alerts(run_id)`},
	{"alerts", `CREATE INDEX IF NOT EXISTS idx_alerts_timestamp
                    ON alerts(timestamp)`},
	{"alerts", `CREATE UNIQUE INDEX IF NOT EXISTS idx_alerts_alert_id
                    ON alerts(alert_id) WHERE alert_id IS NOT NULL`},
	{"metrics", `CREATE UNIQUE INDEX IF NOT EXISTS idx_metrics_log_id
                        ON metrics(log_id) WHERE log_id IS NOT NULL`},
	{"metrics", `CREATE INDEX IF NOT EXISTS idx_metrics_pending
                        ON metrics(space_id) WHERE space_id IS NOT NULL`},
	{"system_metrics", `CREATE UNIQUE INDEX IF NOT EXISTS idx_system_metrics_log_id
                        ON system_metrics(log_id) WHERE log_id IS NOT NULL`},
	{"system_metrics", `CREATE INDEX IF NOT EXISTS idx_system_metrics_pending
                        ON system_metrics(space_id) WHERE space_id IS NOT NULL`},
}

// laterColumns are the columns that newer releases of Python Trackio add to the
// tables of older ones, with the index that comes with them.
var laterColumns = [...]struct{ table, column, add, index string }{
	{"metrics", "log_id", "log_id TEXT", `CREATE UNIQUE INDEX IF NOT EXISTS idx_metrics_log_id ON metrics(log_id) WHERE log_id IS NOT NULL`},
	{"metrics", "space_id", "space_id TEXT", `CREATE INDEX IF NOT EXISTS idx_metrics_pending ON metrics(space_id) WHERE space_id IS NOT NULL`},
	{"system_metrics", "log_id", "log_id TEXT", `CREATE UNIQUE INDEX IF NOT EXISTS idx_system_metrics_log_id ON system_metrics(log_id) WHERE log_id IS NOT NULL`},
	{"system_metrics", "space_id", "space_id TEXT", `CREATE INDEX IF NOT EXISTS idx_system_metrics_pending ON system_metrics(space_id) WHERE space_id IS NOT NULL`},
	{"pending_uploads", "kind", "kind TEXT NOT NULL DEFAULT 'media'", `CREATE INDEX IF NOT EXISTS idx_pending_uploads_kind ON pending_uploads(kind)`},
	{"pending_uploads", "digest", "digest TEXT", ""},
}
