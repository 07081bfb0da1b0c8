package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var staticFiles embed.FS

// contentTypes are said by us: what the operating system's tables hold differs from one to the next.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
}

// asset is a file in memory.
type asset struct {
	contentType string
	etag        string
	body        []byte
}

func newAsset(contentType string, body []byte) *asset {
	sum := sha256.Sum256(body)
	return &asset{contentType: contentType, etag: `"` + hex.EncodeToString(sum[:16]) + `"`, body: body}
}

// serve answers with the file, or with 304 to a browser that has it. It is asked each time: a new
// version of the program has new files under the same names.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

// addStatic takes in everything below static.
func (c *Console) addStatic() error {
	return fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := staticFiles.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			contentType = "text/plain; charset=utf-8" // licences, and what is to be read, not run
		}
		c.assets["/demo/"+name] = newAsset(contentType, body)
		return nil
	})
}
