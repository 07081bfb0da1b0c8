package coretest_test

import (
	"testing"

	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/enginetest"
)

// A disk keeps the contract of engines; core's tests rely on it.
func TestDisk(t *testing.T) {
	enginetest.Test(t, func(t testing.TB) engine.Engine { return coretest.NewDisk(t).Open() })
}
