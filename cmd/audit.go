package wyecmd

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strings"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/plugins/audit"
	"github.com/wyemq/wye/plugins/manage"
)

// auditing is the audit log.
func auditing() fx.Option {
	return fx.Options(
		corefx.Config("audit", audit.DefaultConfig), fx.Provide(newAudit), corefx.Observer(func(l *audit.Log) *audit.Log { return l }),
	)
}

// newAudit makes the log, and tells it of changes of the configuration.
func newAudit(cfg audit.Config, r *corefx.Reloader, log *slog.Logger) *audit.Log {
	l := audit.New(cfg, log)
	r.OnReload(func(by string, done corefx.Reloaded, err error) {
		if err != nil {
			l.Add(audit.Record{Event: "reload_refused", By: by, Errors: strings.Split(err.Error(), "\n")})
			return
		}
		rec := audit.Record{Event: "reload", By: by, Files: done.Files}
		if len(done.Changes) > 0 {
			rec.Changes = done.Changes
		}
		l.Add(rec)
	})
	return l
}

// auditRequest tells the audit log what was asked of the admin server to be done, and what was refused there.
func auditRequest(l *audit.Log) func(r *http.Request, status int) {
	return func(r *http.Request, status int) {
		refused := status == http.StatusUnauthorized || status == http.StatusForbidden
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && !refused {
			return
		}
		rec := audit.Record{Event: "admin", Action: r.Method + " " + r.URL.EscapedPath(), Status: status, Remote: hostOf(r), Listener: "admin", By: manage.Sender(r.Context())}
		if name, _, ok := r.BasicAuth(); ok {
			rec.User = name // as he says
		}
		l.Add(rec)
	}
}

// hostOf is where a request comes from, without the port.
func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// auditUsers tells the audit log what was done to the users file.
func auditUsers(cfg audit.Config, rec audit.Record) error {
	rec.By = account()
	if err := audit.Append(cfg, rec); err != nil {
		return fmt.Errorf("it was done, but is not in the audit log: %w", err)
	}
	return nil
}

// account is who runs this program.
func account() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" {
		name += " (" + sudo + ")"
	}
	return name
}
