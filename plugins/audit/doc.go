// Package audit keeps a log of who logged in, who was refused what, and who changed the broker.
//
//	core.Observer ── Observe ─┐
//	admin server, reload ─ Add ┼─▶ one JSON object per line, in memory ─▶ Run ─▶ file, stdout or stderr
//	wye user … ────── Append ─┘      (bounded; never waits)
//
// Each line is a [Record]; its fields keep their names and meaning, and new ones may come. The order is that in which things
// have happened. Lines are appended, never changed. What a client says, as its user name or a path, is cut off at 256 bytes. There
// are no passwords, tokens, tickets or keys in it.
//
// Whoever writes there, a broker does not wait for it: what cannot be written stays in memory, up to 4 MiB; what comes
// then is lost, is counted, and the first line that can be written again says how much it was. A disk that is full is
// logged once, and once more when it has room again.
//
// A client that is refused again and again cannot flood it: of the same kind of refusal, of the same user, address and rule,
// ten are written within a second, and then one line with how many more there were. Of refusals that are all different,
// as many as 1,000 a second are told apart.
//
// A connection that ends before anybody could log in, because it is refused or fails, has a line connection_refused: its
// origin, a limit, the time for the login, TLS, the PROXY header, the protocol. Nothing is needed to cause these, so they are
// added up sooner: within ten seconds two of the same address, listener and reason are written, and no more than 20 of these
// are told apart. Who connects and just goes is not in there. Requests to the admin server that have failed, of somebody who is
// not known, are added up with these; of somebody who is, as refusals are.
//
// The file may be moved away at any time; SIGHUP makes the broker open a new one under the old name. With logrotate:
//
//	/var/log/wye/audit.log {
//	    daily
//	    rotate 30
//	    delaycompress
//	    compress
//	    missingok
//	    notifempty
//	    postrotate
//	        systemctl kill -s HUP wye
//	    endscript
//	}
//
// It decides nothing, and it does not know what is in messages.
package audit
