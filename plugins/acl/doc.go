// Package acl decides what a client may do, by rules over the names of the core: the same for every protocol.
//
//	auth.acl.rules ─┐
//	auth.acl.file  ─┼─ in this order, the first Rule that matches decides ── core.Authorizer
//	claim "acl"    ─┘   no rule: refused, once there are users or rules
//
// A name has a kind and levels: topic/a/b, queue/jobs, group/<name> (a durable or shared subscription),
// client/<id> (to log in with that id), vhost/<name> (to log in to that virtual host), broker/<what> (to administer),
// temp/<token>/<name>. A pattern may hold "+" (one level), "#" (the rest),
// and within a level {user} {client} {group} {claim.x} and once "*" (anything); "#" alone is everything. As in MQTT, a leading wildcard
// does not stand for a topic whose first level begins with "$".
//
// A filter is allowed if a pattern of one rule covers all that it matches, and refused as soon as a rule that
// denies, and comes first, matches some of it. So nobody reads by a wildcard what could not be read by name.
//
// What a variable stands for is chosen by clients, so it is taken literally: a value that is empty or holds "/",
// "+" or "#" fits no pattern that allows, and every pattern that denies. The same holds for a "$" in front of a
// topic.
//
// A client id is what a client says. The broker keeps one that is in use, or that a session is kept under, to its user; a
// rule about {client} means more beside one about connecting, such as allow connect on client/{user}-* and deny connect
// on client/#.
//
// Names have no virtual host in them: a rule counts in all of them, or in those that its condition names. Credentials that
// are of a virtual host need no rule to log in to it; others do, unless it is "/".
//
// Without a rule, three things are allowed all the same: to log in with any client id, to join a group whose
// filter may be subscribed to, and to send to the temporary queue of another session, whose name nobody can
// guess. A rule may deny them.
//
// It does not say who a client is: that is what authenticators do.
package acl
