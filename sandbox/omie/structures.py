"""Which tags a call may send. Verified: an unknown one is refused by name, one at a time, never ignored.

The tags are those of the vendor's service descriptions, except where a twin has no use for a whole structure (`ANYTHING`).
"""

from __future__ import annotations

from typing import Any

from sandbox.omie.wire import OmieFault

ANYTHING = "*"
_PAGE = "pagina registros_por_pagina apenas_importado_api ordenar_por ordem_decrescente ordem_descrescente"
_CHANGED = (
    "filtrar_por_data_de filtrar_por_data_ate filtrar_por_hora_de filtrar_por_hora_ate filtrar_apenas_inclusao "
    "filtrar_apenas_alteracao"
)
_NPAGE = "nPagina nRegPorPagina cOrdenarPor cOrdemDecrescente"
_FAT = "cCodIntPed nCodPed"

TAGS: dict[str, str] = {
    "clientes_cadastro": (
        "codigo_cliente_omie codigo_cliente_integracao razao_social cnpj_cpf nome_fantasia telefone1_ddd telefone1_numero contato "
        "endereco endereco_numero bairro complemento estado cidade cep codigo_pais separar_endereco pesquisar_cep telefone2_ddd "
        "telefone2_numero fax_ddd fax_numero email homepage inscricao_estadual inscricao_municipal inscricao_suframa "
        "optante_simples_nacional tipo_atividade cnae produtor_rural contribuinte observacao obs_detalhadas recomendacao_atraso "
        "pessoa_fisica exterior logradouro importado_api bloqueado cidade_ibge valor_limite_credito bloquear_faturamento nif "
        "documento_exterior inativo enviar_anexos bloquear_exclusao"
    ),
    "clientes_cadastro_chave": "codigo_cliente_omie codigo_cliente_integracao",
    "clientes_list_request": f"{_PAGE} {_CHANGED} exibir_caracteristicas exibir_obs",
    "clientesFiltro": (
        "codigo_cliente_omie codigo_cliente_integracao cnpj_cpf razao_social nome_fantasia endereco bairro cidade estado cep "
        "contato email homepage inscricao_municipal inscricao_estadual inscricao_suframa pessoa_fisica optante_simples_nacional "
        "inativo"
    ),
    "clientesPorCodigo": "codigo_cliente_omie codigo_cliente_integracao",
    "produto_servico_cadastro": (
        "codigo_produto codigo_produto_integracao codigo descricao unidade ncm ean valor_unitario codigo_familia tipoItem "
        "produto_lote peso_liq peso_bruto altura largura profundidade marca modelo dias_garantia dias_crossdocking "
        "descr_detalhada obs_internas exibir_descricao_nfe exibir_descricao_pedido bloqueado bloquear_exclusao inativo "
        "lead_time quantidade_estoque estoque_minimo cest aliquota_ibpt"
    ),
    "produto_servico_cadastro_chave": "codigo_produto codigo_produto_integracao codigo",
    "produto_servico_list_request": (
        f"{_PAGE} {_CHANGED} filtrar_apenas_omiepdv filtrar_apenas_familia filtrar_apenas_tipo filtrar_apenas_descricao "
        "filtrar_apenas_marketplace filtrar_apenas_pdv exibir_caracteristicas exibir_tabelas_preco inativo ncm ean exibir_obs "
        "exibir_kit exibir_info_variacoes"
    ),
    "produtosPorCodigo": "codigo_produto codigo_produto_integracao codigo",
    "parcelaListarRequest": "pagina registros_por_pagina",
    "pedido_venda_produto": "",
    "cabecalho": (
        "codigo_pedido codigo_pedido_integracao numero_pedido sequencial codigo_cliente codigo_cliente_integracao data_previsao "
        "quantidade_itens etapa codigo_parcela qtde_parcelas origem_pedido codigo_cenario_impostos bloqueado importado_api "
        "codigo_empresa codigo_empresa_integracao tipo_desconto_pedido perc_desconto_pedido valor_desconto_pedido encerrado "
        "enc_motivo enc_data enc_hora enc_user nao_gerar_boleto"
    ),
    "det": "",
    "ide": "codigo_item_integracao codigo_item simples_nacional acao_item id_ordem_producao regra_impostos",
    "produto": (
        "codigo_produto codigo_produto_integracao codigo descricao cfop ncm ean unidade quantidade valor_unitario "
        "codigo_tabela_preco valor_mercadoria tipo_desconto percentual_desconto valor_desconto valor_deducao "
        "valor_icms_desonerado motivo_icms_desonerado valor_total indicador_escala cnpj_fabricante kit componente_kit "
        "codigo_item_kit reservado"
    ),
    "frete": (
        "codigo_transportadora codigo_transportadora_integracao modalidade placa placa_estado registro_transportador "
        "quantidade_volumes especie_volumes marca_volumes numeracao_volumes peso_liquido peso_bruto valor_frete valor_seguro "
        "numero_lacre outras_despesas veiculo_proprio previsao_entrega codigo_rastreio codigo_tipo_entrega link_rastreio"
    ),
    "informacoes_adicionais": (
        "codigo_categoria codigo_conta_corrente numero_pedido_cliente numero_contrato contato dados_adicionais_nf "
        "consumidor_final utilizar_emails enviar_email enviar_pix codVend codProj impostos_embutidos meio_pagamento "
        "descr_meio_pagamento tipo_documento nsu"
    ),
    "lista_parcelas": "",
    "parcela": (
        "numero_parcela valor percentual data_vencimento quantidade_dias tipo_documento meio_pagamento descr_meio_pagamento nsu "
        "nao_gerar_boleto parcela_adiantamento categoria_adiantamento conta_corrente_adiantamento bandeira cnpj_fin"
    ),
    "observacoes": "obs_venda",
    "pvpConsultarRequest": "codigo_pedido codigo_pedido_integracao numero_pedido",
    "pvpListarRequest": (
        f"{_PAGE} {_CHANGED} filtrar_por_cliente filtrar_por_vendedor filtrar_por_projeto etapa numero_pedido_de "
        "numero_pedido_ate apenas_resumo data_previsao_de data_previsao_ate data_faturamento_de data_faturamento_ate "
        "data_emissao_de data_emissao_ate data_cancelamento_de data_cancelamento_ate status_pedido"
    ),
    "pvpExcluirRequest": "codigo_pedido codigo_pedido_integracao",
    "pvpStatusRequest": "codigo_pedido codigo_pedido_integracao",
    "pvpTrocarEtapaRequest": "codigo_pedido codigo_pedido_integracao etapa",
    "pvpSimularImpRequest": "codigo_cenario_impostos",
    "pvpValidarRequest": _FAT,
    "pvpFaturarRequest": _FAT,
    "pvpCancelarRequest": _FAT,
    "pvpAssociarCodIntRequest": _FAT,
    "pEtapaListarRequest": f"{_NPAGE} dDtInicial dDtFinal cHrInicial cHrFinal nCodPed cCodIntPed cEtapa",
    "etaproListarRequest": "pagina registros_por_pagina ordenar_por ordem_descrescente",
    "tprListarRequest": f"{_NPAGE} dDtIncDe dDtIncAte dDtAltDe dDtAltAte cAtiva",
    "tprItensListarRequest": (
        f"{_NPAGE} nCodTabPreco cCodIntTabPreco dDtIncDe dDtIncAte dDtAltDe dDtAltAte lApenasItens cApenasFixado"
    ),
    "tprIncluirRequest": "cCodIntTabPreco cNome cCodigo cOrigem",
    "tprAltPrecoItemRequest": "nCodTabPreco nCodProd nValorTabela",
    "tprSuspenderRequest": "nCodTabPreco cCodIntTabPreco",
    "vendListarRequest": (
        "pagina registros_por_pagina apenas_importado_api ordenar_por ordem_descrescente filtrar_por_data_de filtrar_por_data_ate "
        "filtrar_apenas_inclusao filtrar_apenas_alteracao filtrar_por_email filtrar_por_nome"
    ),
    "vendincluirRequest": "codInt nome inativo email fatura_pedido visualiza_pedido comissao",
    "vendAlterarRequest": "codigo codInt nome inativo email fatura_pedido visualiza_pedido comissao",
    "ListarEstPosRequest": (
        "nPagina nRegPorPagina dDataPosicao cExibeTodos cExibeApenasPDV cExibeApenasMarketplace codigo_local_estoque "
        "lista_local_estoque cTipoItem"
    ),
    "lista_produtos": "nCodProd cCodInt cCodigo",
}
NESTED: dict[str, dict[str, str]] = {
    "clientes_cadastro": dict.fromkeys(
        ("tags", "recomendacoes", "enderecoEntrega", "dadosBancarios", "caracteristicas", "info"), ANYTHING
    ),
    "clientes_list_request": {"clientesFiltro": "clientesFiltro", "clientesPorCodigo": "clientesPorCodigo"},
    "clientesFiltro": {"tags": ANYTHING},
    "produto_servico_cadastro": dict.fromkeys(
        ("recomendacoes_fiscais", "imagens", "videos", "caracteristicas", "tabelas_preco", "componentes_kit", "info"), ANYTHING
    ),
    "produto_servico_list_request": {"produtosPorCodigo": "produtosPorCodigo", "caracteristicas": ANYTHING},
    "pedido_venda_produto": {
        "cabecalho": "cabecalho",
        "det": "det",
        "frete": "frete",
        "informacoes_adicionais": "informacoes_adicionais",
        "lista_parcelas": "lista_parcelas",
        "observacoes": "observacoes",
        **dict.fromkeys(("departamentos", "exportacao", "agropecuario", "market_place", "total_pedido", "infoCadastro"), ANYTHING),
    },
    "det": {
        "ide": "ide",
        "produto": "produto",
        **dict.fromkeys(("imposto", "inf_adic", "observacao", "rastreabilidade", "combustivel", "tributavel"), ANYTHING),
    },
    "frete": {"icms_retido": ANYTHING},
    "informacoes_adicionais": {"outros_detalhes": ANYTHING, "nfRelacionada": ANYTHING},
    "lista_parcelas": {"parcela": "parcela"},
    "pvpSimularImpRequest": dict.fromkeys(("cliente", "det", "frete"), ANYTHING),
    "ListarEstPosRequest": {"lista_produtos": "lista_produtos"},
    "tprIncluirRequest": dict.fromkeys(("produtos", "clientes", "outrasInfo", "caracteristicas"), ANYTHING),
}
_KNOWN = {name: frozenset(tags.split()) for name, tags in TAGS.items()}


def check(value: Any, name: str) -> None:
    """Raises `OmieFault`, code 5001: an unknown tag, in capitals (verified); a value where an object is expected (our reading)."""
    if not isinstance(value, dict):
        raise OmieFault(f"Os valores da tag [{name.upper()}] devem ser informados em um objeto!", "SOAP-ENV:Client-5001")
    nested = NESTED.get(name, {})
    for tag, inner in value.items():
        if tag in nested:
            if nested[tag] != ANYTHING:
                for each in inner if isinstance(inner, list) else [inner]:
                    check(each, nested[tag])
        elif tag not in _KNOWN[name] or isinstance(inner, dict | list):
            raise OmieFault(
                f"Tag [{tag.upper()}] não faz parte da estrutura do tipo complexo [{name}]!", "SOAP-ENV:Client-5001", 500
            )
