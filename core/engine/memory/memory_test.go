package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEngine(t *testing.T) {
	enginetest.Test(t, func(testing.TB) engine.Engine { return memory.New() })
}
