// Package destination has the canonical names of what messages are sent to, and the filters that
// match them.
//
// A destination is a kind and a list of levels. Written out it is the kind and the levels joined
// by '/':
//
//	topic/sensors/1      kind topic, levels [sensors 1]
//	topic//a             levels ["" a]: a level may be empty (MQTT's /a)
//	queue/jobs/eu        kind queue, name "jobs/eu"
//	temp/a1b2/reply      kind temp, name "a1b2/reply"
//
// No level of a topic can hold '/', '+', '#' or NUL, so the written form says the same as the list;
// it is one string that can be compared and hashed and costs no memory to take apart.
//
// A filter is what is subscribed to. Of a topic's filter, '+' stands for any one level and '#' for any
// number of levels, none included, also in the middle: "topic/a/#" matches "topic/a", and "topic/a/#/z"
// matches "topic/a/z" and "topic/a/b/c/z". A wildcard in the first level matches no destination whose
// first level starts with '$'. The names of queues and temporary destinations are literal, and their
// filters are the names themselves: "queue/c#" is a queue called "c#". Where a whole level of such
// a name is '+' or '#' somebody means a wildcard, which queues do not have; it is refused.
//
// How data flows:
//
//	protocol's spelling → Join → "topic/a/b" → Check, CheckFilter → Match, subtree, ACLs, logs
//
// What the package does not do: it knows no protocol (how STOMP or MQTT spell a name is their own
// business), no virtual host (a destination never contains one), and it keeps no index: that is
// core/internal/subtree.
package destination
