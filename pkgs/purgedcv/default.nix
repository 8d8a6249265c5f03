# Deflated Sharpe ratios and purged splits; not in nixpkgs.
{
  lib,
  buildPythonPackage,
  fetchPypi,
  hatchling,
  numpy,
  pandas,
  scikit-learn,
  scipy,
}:
buildPythonPackage rec {
  pname = "purgedcv";
  version = "0.1.11";
  pyproject = true;

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-1crMQ0Xuxfr8u7LkqH9uVJbn3MKxmdt5A5H4s9HFrC8=";
  };

  build-system = [ hatchling ];
  dependencies = [
    numpy
    pandas
    scikit-learn
    scipy
  ];

  # Its tests want more than its sources hold.
  doCheck = false;
  pythonImportsCheck = [ "purgedcv" ];

  meta = {
    description = "Purged cross-validation and deflated Sharpe ratios";
    license = lib.licenses.mit;
  };
}
