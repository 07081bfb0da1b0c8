package wire

import "net"

// ReadProxyHeader is for the fuzz target.
var ReadProxyHeader = readProxyHeader

// Net returns the connection below.
func (c *Conn) Net() net.Conn { return c.nc }
