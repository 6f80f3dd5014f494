package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

const demoProject = "mnist"

// demoRun is one run of the demo, ready to be imported.
type demoRun struct {
	header  trackio.Header
	config  string
	metrics []trackio.MetricsRow
	system  []trackio.SystemMetricsRow
	alerts  []trackio.AlertRow
	images  map[string][]byte // by path in the run
}

// demoID is the id of the n-th run of a name.
func demoID(name string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "trackio demo %s %d", name, n))
	return hex.EncodeToString(sum[:16])
}

// demoRuns makes the runs of the demo, as if they had been trained during the
// hours before now.
func demoRuns(now time.Time) ([]demoRun, error) {
	now = now.UTC().Truncate(time.Second)
	plans := []struct {
		name   string
		n      int
		hours  int
		lr     float64
		config string
	}{
		{"baseline", 1, 30, 0.1, `{"lr":0.1,"batch_size":64,"model":{"name":"mlp","layers":[784,128,10]}}`},
		{"augmented", 1, 26, 0.12, `{"lr":0.12,"batch_size":64,"augment":["shift"]}`},
		{"high lr", 1, 7, 3, `{"lr":3.0,"batch_size":64}`},
		{"augmented", 2, 2, 0.15, `{"lr":0.15,"batch_size":64,"augment":["shift","rotate"]}`},
	}
	var runs []demoRun
	for _, p := range plans {
		begin := now.Add(-time.Duration(p.hours) * time.Hour)
		run, err := newDemoRun(p.name, demoID(p.name, p.n), p.lr, p.config, begin)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

const demoStepsPerRun = 21

func newDemoRun(name, id string, lr float64, config string, begin time.Time) (demoRun, error) {
	run := demoRun{images: map[string][]byte{}}
	run.header = trackio.Header{
		RunInfo: trackio.RunInfo{RunRef: trackio.RunRef{Project: demoProject, ID: id}, Name: name, CreatedAt: begin},
		Kinds:   trackio.AllKinds,
	}
	stamp := trackio.FormatTime(begin)
	run.config = strings.TrimSuffix(config, "}") + `,"_Username":"demo","_Created":"` + stamp + `","_Group":null}`
	diverges := lr > 1
	for step := range int64(demoStepsPerRun) {
		at := trackio.FormatTime(begin.Add(time.Duration(step) * time.Minute))
		loss, accuracy := math.Exp(-lr*float64(step)), 1-math.Exp(-lr*float64(step+1))/1.1
		if diverges {
			loss, accuracy = 2.3*math.Pow(1.4, float64(step)), 0.1
		}
		payload := fmt.Sprintf(`"loss":%.4f,"accuracy":%.4f`, loss, accuracy)
		if step%10 == 0 {
			path := fmt.Sprintf("%d/%s.png", step, demoID(id, int(step)))
			picture, err := demoImage(accuracy)
			if err != nil {
				return run, err
			}
			run.images[path] = picture
			payload += `,"sample":{"_type":"trackio.image","file_path":"` + path + `","caption":"step ` + fmt.Sprint(step) + `"}`
		}
		if step == demoStepsPerRun-1 && !diverges {
			payload += `,"notes":{"_type":"trackio.markdown","_value":"## ` + name + `\n\nThe loss settles; a higher rate may be worth a try."}`
		}
		run.metrics = append(run.metrics, trackio.MetricsRow{
			Timestamp: at, Step: step, Metrics: []byte("{" + payload + "}"), LogID: demoID(id+" row", int(step)),
		})
		if step%5 == 0 {
			run.system = append(run.system, trackio.SystemMetricsRow{
				Timestamp: at, Metrics: fmt.Appendf(nil, `{"cpu":%d,"gpu/0/util":%.1f}`, 30+step, 88+float64(step)/10),
				LogID: demoID(id+" system", int(step)),
			})
		}
		if diverges && step == 6 {
			text := fmt.Sprintf("loss is %.1f and rising", loss)
			run.alerts = append(run.alerts, trackio.AlertRow{
				Timestamp: at, Title: "Loss diverges", Text: &text, Level: "error", Step: &step, AlertID: demoID(id+" alert", 0),
			})
		}
	}
	return run, nil
}

// demoImage is a small picture that becomes clearer as the accuracy grows.
func demoImage(clear float64) ([]byte, error) {
	const size = 32
	palette := color.Palette{
		color.RGBA{24, 28, 52, 255}, color.RGBA{70, 90, 160, 255}, color.RGBA{240, 196, 80, 255}, color.RGBA{250, 250, 240, 255},
	}
	img := image.NewPaletted(image.Rect(0, 0, size, size), palette)
	for y := range size {
		for x := range size {
			shade := 0
			if r := math.Hypot(float64(x)-size/2, float64(y)-size/2); r > 6 && r < 12 {
				shade = 3
			}
			if noise := float64((x*31+y*17+x*y*7)%101) / 101; noise > clear {
				shade = 1 + (x+y)%2
			}
			img.SetColorIndex(x, y, uint8(shade))
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.Bytes(), err
}

// records yields the run as the stream that an importer reads.
func (r *demoRun) records() iter.Seq2[trackio.Record, error] {
	stream := []trackio.Record{
		&r.header,
		&trackio.Config{JSON: []byte(r.config), CreatedAt: trackio.FormatTime(r.header.CreatedAt)},
		&trackio.Metrics{Rows: r.metrics},
		&trackio.SystemMetrics{Rows: r.system},
	}
	if len(r.alerts) > 0 {
		stream = append(stream, &trackio.Alerts{Rows: r.alerts})
	}
	for _, path := range slices.Sorted(maps.Keys(r.images)) {
		body := r.images[path]
		sum := sha256.Sum256(body)
		stream = append(stream, &trackio.Media{
			Path: path, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Body: bytes.NewReader(body),
		})
	}
	return func(yield func(trackio.Record, error) bool) {
		for _, record := range stream {
			if !yield(record, nil) {
				return
			}
		}
	}
}
