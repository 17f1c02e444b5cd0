using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Sync.Tests.Support;

/// <summary>A key and its certificate as PEM files, made for one test and deleted with it.</summary>
sealed class TestCertificate : IDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("sync-certificate-");

    TestCertificate() { }

    public string KeyFile => Path.Combine(_folder.FullName, "sync.key");

    public string CertificateFile => Path.Combine(_folder.FullName, "sync.crt");

    public static TestCertificate Of(RSA key)
    {
        var made = new TestCertificate();
        var request = new CertificateRequest(
            "CN=product-sync",
            key,
            HashAlgorithmName.SHA256,
            RSASignaturePadding.Pkcs1
        );
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue);
        File.WriteAllText(made.CertificateFile, certificate.ExportCertificatePem());
        File.WriteAllText(made.KeyFile, key.ExportPkcs8PrivateKeyPem());
        return made;
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
