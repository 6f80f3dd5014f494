package rows

import (
	"encoding/json"

	"github.com/trackio-go/trackio/trackio"
)

// A record is a row as the Parquet writer takes it. The order of the fields is
// that of the columns, which the package's comment and the kinds repeat.
type (
	metricsRecord struct {
		Timestamp string `parquet:"timestamp,plain"`
		Time      *int64 `parquet:"time,optional,plain,timestamp(microsecond)"`
		Step      int64  `parquet:"step,plain"`
		Metrics   []byte `parquet:"metrics,plain,string"`
		LogID     string `parquet:"log_id,optional,plain"`
		SpaceID   string `parquet:"space_id,optional,plain"`
		Exact     []byte `parquet:"exact,optional,plain"`
	}
	systemRecord struct {
		Timestamp string `parquet:"timestamp,plain"`
		Time      *int64 `parquet:"time,optional,plain,timestamp(microsecond)"`
		Metrics   []byte `parquet:"metrics,plain,string"`
		LogID     string `parquet:"log_id,optional,plain"`
		SpaceID   string `parquet:"space_id,optional,plain"`
		Exact     []byte `parquet:"exact,optional,plain"`
	}
	alertRecord struct {
		Timestamp string  `parquet:"timestamp,plain"`
		Time      *int64  `parquet:"time,optional,plain,timestamp(microsecond)"`
		Title     string  `parquet:"title,plain"`
		Text      *string `parquet:"text,optional,plain"`
		Level     string  `parquet:"level,plain"`
		Step      *int64  `parquet:"step,optional,plain"`
		AlertID   string  `parquet:"alert_id,optional,plain"`
		Exact     []byte  `parquet:"exact,optional,plain"`
	}
	traceRecord struct {
		ID         string `parquet:"id,plain"`
		Timestamp  string `parquet:"timestamp,plain"`
		Time       *int64 `parquet:"time,optional,plain,timestamp(microsecond)"`
		Step       int64  `parquet:"step,plain"`
		Key        string `parquet:"key,plain"`
		TraceIndex *int64 `parquet:"trace_index,optional,plain"`
		Messages   []byte `parquet:"messages,plain,string"`
		Metadata   []byte `parquet:"metadata,plain,string"`
		SearchText string `parquet:"search_text,plain"`
		LogID      string `parquet:"log_id,optional,plain"`
		SpaceID    string `parquet:"space_id,optional,plain"`
		Exact      []byte `parquet:"exact,optional,plain"`
	}
)

var metricsKind = kind[trackio.MetricsRow]{
	name: "metrics",
	columns: []column{
		{"timestamp", text, false}, {timeColumn, number, true}, {stepColumn, number, false}, {"metrics", payload, false},
		{"log_id", text, true}, {"space_id", text, true}, {exactColumn, payload, true},
	},
	open: openTable(func(w *Writer[trackio.MetricsRow], row *trackio.MetricsRow) (r metricsRecord, size int) {
		var x exact
		r.Timestamp, r.Time = x.text(0, row.Timestamp), w.stamp(row.Timestamp)
		r.Step = row.Step
		r.Metrics = x.bytes(3, row.Metrics)
		r.LogID, r.SpaceID = x.text(4, row.LogID), x.text(5, row.SpaceID)
		r.Exact = x.kept
		w.note(&row.Step, row.SpaceID)
		w.names.add(row.Metrics)
		return r, x.size
	}),
	row: func(b *batch, i int) trackio.MetricsRow {
		return trackio.MetricsRow{
			Timestamp: b.text(0, i), Step: b.number(2, i), Metrics: b.bytes(3, i),
			LogID: b.text(4, i), SpaceID: b.text(5, i),
		}
	},
}

var systemKind = kind[trackio.SystemMetricsRow]{
	name: "system_metrics",
	columns: []column{
		{"timestamp", text, false}, {timeColumn, number, true}, {"metrics", payload, false},
		{"log_id", text, true}, {"space_id", text, true}, {exactColumn, payload, true},
	},
	open: openTable(func(w *Writer[trackio.SystemMetricsRow], row *trackio.SystemMetricsRow) (r systemRecord, size int) {
		var x exact
		r.Timestamp, r.Time = x.text(0, row.Timestamp), w.stamp(row.Timestamp)
		r.Metrics = x.bytes(2, row.Metrics)
		r.LogID, r.SpaceID = x.text(3, row.LogID), x.text(4, row.SpaceID)
		r.Exact = x.kept
		w.note(nil, row.SpaceID)
		w.names.add(row.Metrics)
		return r, x.size
	}),
	row: func(b *batch, i int) trackio.SystemMetricsRow {
		return trackio.SystemMetricsRow{
			Timestamp: b.text(0, i), Metrics: b.bytes(2, i), LogID: b.text(3, i), SpaceID: b.text(4, i),
		}
	},
}

var alertsKind = kind[trackio.AlertRow]{
	name: "alerts",
	columns: []column{
		{"timestamp", text, false}, {timeColumn, number, true}, {"title", text, false}, {"text", text, true},
		{"level", text, false}, {stepColumn, number, true}, {"alert_id", text, true}, {exactColumn, payload, true},
	},
	open: openTable(func(w *Writer[trackio.AlertRow], row *trackio.AlertRow) (r alertRecord, size int) {
		var x exact
		r.Timestamp, r.Time = x.text(0, row.Timestamp), w.stamp(row.Timestamp)
		r.Title = x.text(2, row.Title)
		if row.Text != nil {
			told := x.text(3, *row.Text)
			r.Text = &told
		}
		r.Level, r.Step, r.AlertID = x.text(4, row.Level), row.Step, x.text(6, row.AlertID)
		r.Exact = x.kept
		w.note(row.Step, "")
		return r, x.size
	}),
	row: func(b *batch, i int) trackio.AlertRow {
		return trackio.AlertRow{
			Timestamp: b.text(0, i), Title: b.text(2, i), Text: b.optionalText(3, i), Level: b.text(4, i),
			Step: b.optionalNumber(5, i), AlertID: b.text(6, i),
		}
	},
}

var tracesKind = kind[trackio.TraceRow]{
	name: "traces",
	columns: []column{
		{"id", text, false}, {"timestamp", text, false}, {timeColumn, number, true}, {stepColumn, number, false},
		{"key", text, false}, {"trace_index", number, true}, {"messages", payload, false}, {"metadata", payload, false},
		{"search_text", text, false}, {"log_id", text, true}, {"space_id", text, true}, {exactColumn, payload, true},
	},
	open: openTable(func(w *Writer[trackio.TraceRow], row *trackio.TraceRow) (r traceRecord, size int) {
		var x exact
		r.ID, r.Timestamp, r.Time = x.text(0, row.ID), x.text(1, row.Timestamp), w.stamp(row.Timestamp)
		r.Step, r.Key, r.TraceIndex = row.Step, x.text(4, row.Key), row.TraceIndex
		r.Messages, r.Metadata = x.bytes(6, row.Messages), x.bytes(7, row.Metadata)
		r.SearchText = x.text(8, row.SearchText)
		r.LogID, r.SpaceID = x.text(9, row.LogID), x.text(10, row.SpaceID)
		r.Exact = x.kept
		w.note(&row.Step, row.SpaceID)
		return r, x.size
	}),
	row: func(b *batch, i int) trackio.TraceRow {
		return trackio.TraceRow{
			ID: b.text(0, i), Timestamp: b.text(1, i), Step: b.number(3, i), Key: b.text(4, i),
			TraceIndex: b.optionalNumber(5, i), Messages: json.RawMessage(b.bytes(6, i)), Metadata: json.RawMessage(b.bytes(7, i)),
			SearchText: b.text(8, i), LogID: b.text(9, i), SpaceID: b.text(10, i),
		}
	},
}
