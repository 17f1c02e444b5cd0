namespace Sync.Tests;

public sealed class LayoutTests
{
    [Fact]
    public void Placeholder() => Assert.True(true);
}
